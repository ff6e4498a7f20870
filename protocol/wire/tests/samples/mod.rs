//! One frame of each kind, with every field set: what the golden files hold, and what other tests begin with.

use comptoir_wire::{
    AccountId, Claimed, CommitToken, ConversationId, DepositOutcome, DepositStatus, DeviceId, Envelope, EnvelopeKind,
    ErrorCode, Gate, Incarnation, Item, KeySignature, Limits, LogSlice, NewAccount, NextKey, OrderStatus, Ordered,
    Pass, PushEndpoint, Refusal, Reply, Request, SignedEntry, Uid, Welcome,
};

/// The end that says a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    ByClient,
    ByRelay,
}

impl Said {
    /// The message of `relay.proto`.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::ByClient => "comptoir.relay.v1.ClientFrame",
            Self::ByRelay => "comptoir.relay.v1.RelayFrame",
        }
    }
}

/// A golden frame: the name of its file, who says it, its bytes as encoded now.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) said: Said,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn all() -> Vec<Sample> {
    let by_client = requests().into_iter().map(|(name, id, request)| Sample {
        name,
        said: Said::ByClient,
        bytes: request.encode(id),
    });
    let by_relay =
        replies().into_iter().map(|(name, id, reply)| Sample { name, said: Said::ByRelay, bytes: reply.encode(id) });
    by_client.chain(by_relay).collect()
}

pub(crate) fn requests() -> Vec<(&'static str, u64, Request)> {
    vec![
        (
            "authenticate",
            1,
            Request::Authenticate {
                device: DeviceId(bytes(0x10)),
                address: "relay.example:443".into(),
                signature: bytes(0x20),
                window: 50,
            },
        ),
        (
            "create_account",
            2,
            Request::CreateAccount(NewAccount {
                genesis: b"the genesis record of Alice".to_vec(),
                log_key: bytes(0x30),
                recovery_hash: bytes(0x31),
                entries: vec![signed_entry(1, None), signed_entry(2, Some(bytes(0x32)))],
                device: DeviceId(bytes(0x10)),
                device_key: bytes(0x33),
            }),
        ),
        ("add_device", 3, Request::AddDevice { device: DeviceId(bytes(0x11)), device_key: bytes(0x34) }),
        (
            "remove_device",
            4,
            Request::RemoveDevice {
                device: DeviceId(bytes(0x11)),
                signed: Some(KeySignature { signer: bytes(0x30), signature: bytes(0x36) }),
            },
        ),
        ("remove_own_device", 4, Request::RemoveDevice { device: DeviceId(bytes(0x10)), signed: None }),
        (
            "append_log",
            5,
            Request::AppendLog { account: AccountId(bytes(0x40)), expected_len: 2, entry: signed_entry(3, None) },
        ),
        ("read_log", 6, Request::ReadLog { account: AccountId(bytes(0x40)), from: 1 }),
        (
            "publish_key_packages",
            7,
            Request::PublishKeyPackages {
                packages: vec![b"one-time package 1".to_vec(), b"one-time package 2".to_vec()],
                last_resort: Some(b"last resort".to_vec()),
            },
        ),
        (
            "publish_key_packages_without_last_resort",
            7,
            Request::PublishKeyPackages { packages: vec![b"one-time package 3".to_vec()], last_resort: None },
        ),
        (
            "claim_key_packages",
            8,
            Request::ClaimKeyPackages { devices: vec![DeviceId(bytes(0x12)), DeviceId(bytes(0x13))] },
        ),
        (
            "deposit",
            9,
            Request::Deposit {
                envelopes: vec![
                    envelope(EnvelopeKind::Message),
                    Envelope { urgent: false, ttl_s: 0, ..envelope(EnvelopeKind::Message) },
                    Envelope { pass: Some(bytes(0x37)), ..envelope(EnvelopeKind::Message) },
                ],
            },
        ),
        ("set_push", 11, Request::SetPush { endpoint: Some(endpoint("https://push.example/up?t=a1B2")) }),
        ("set_push_nowhere", 12, Request::SetPush { endpoint: None }),
        ("set_gate_open", 13, Request::SetGate { peer: AccountId(bytes(0x40)), gate: Gate::Open }),
        ("set_gate_window", 13, Request::SetGate { peer: AccountId(bytes(0x40)), gate: Gate::Window }),
        ("set_gate_shut", 13, Request::SetGate { peer: AccountId(bytes(0x40)), gate: Gate::Shut }),
        (
            "add_passes",
            14,
            Request::AddPasses {
                peer: AccountId(bytes(0x40)),
                passes: vec![Pass { hash: bytes(0x38), once: false }, Pass { hash: bytes(0x39), once: true }],
            },
        ),
        // No answer is wanted to an acknowledgement, so it has no id.
        ("ack", 0, Request::Ack { upto_seq: 41 }),
        (
            "open_generation",
            10,
            Request::OpenGeneration {
                peer: AccountId(bytes(0x52)),
                conversation: ConversationId(bytes(0x50)),
                generation: 3,
                token_hash: bytes(0x51),
                envelopes: vec![envelope(EnvelopeKind::Welcome)],
            },
        ),
        (
            "submit_commit",
            u64::MAX,
            Request::SubmitCommit {
                peer: AccountId(bytes(0x54)),
                conversation: ConversationId(bytes(0x50)),
                generation: 3,
                epoch: 7,
                token: CommitToken(bytes(0x52)),
                next_token_hash: bytes(0x53),
                uid: Uid(bytes(0x60)),
                envelopes: vec![envelope(EnvelopeKind::Commit)],
            },
        ),
    ]
}

pub(crate) fn replies() -> Vec<(&'static str, u64, Reply)> {
    let mut all = vec![
        ("challenge", 0, Reply::Challenge { nonce: bytes(0x70), server_time_ms: NOW_MS }),
        (
            "welcome",
            1,
            Reply::Welcome(Welcome {
                incarnation: Incarnation(bytes(0x71)),
                server_time_ms: NOW_MS,
                acked_seq: 40,
                head_seq: 42,
                key_packages_left: 17,
                limits: Limits { envelope_bytes_max: 65_536, envelopes_per_frame_max: 64, key_packages_max: 100 },
                push_key: Some(Box::new(bytes(0x72))),
                push_told: true,
                lost_since_ms: NOW_MS - 60_000,
                last_uid: Some(Uid(bytes(0x60))),
            }),
        ),
        (
            "welcome_without_wake_ups",
            1,
            Reply::Welcome(Welcome {
                incarnation: Incarnation(bytes(0x71)),
                server_time_ms: NOW_MS,
                acked_seq: 0,
                head_seq: 0,
                key_packages_left: 0,
                limits: Limits { envelope_bytes_max: 65_536, envelopes_per_frame_max: 64, key_packages_max: 100 },
                push_key: None,
                push_told: false,
                lost_since_ms: 0,
                last_uid: None,
            }),
        ),
        ("done", 3, Reply::Done),
        ("log_head", 5, Reply::LogHead { appended: true, len: 3 }),
        ("log_head_of_another", 5, Reply::LogHead { appended: false, len: 4 }),
        (
            "log",
            6,
            Reply::Log(LogSlice {
                genesis: b"the genesis record of Alice".to_vec(),
                from: 1,
                entries: vec![signed_entry(2, Some(bytes(0x32)))],
                len: 2,
            }),
        ),
        ("key_package_count", 7, Reply::KeyPackageCount { left: 19 }),
        (
            "key_packages",
            8,
            Reply::KeyPackages(vec![
                Claimed::Fresh(b"one-time package 1".to_vec()),
                Claimed::LastResort(b"last resort".to_vec()),
                Claimed::None,
            ]),
        ),
        (
            "deposited",
            9,
            Reply::Deposited(
                [
                    (DepositStatus::Accepted, NOW_MS),
                    (DepositStatus::Duplicate, NOW_MS - 1),
                    (DepositStatus::Full, 0),
                    (DepositStatus::Gone, 0),
                    (DepositStatus::StaleEpoch, 0),
                    (DepositStatus::Forbidden, 0),
                    (DepositStatus::Closed, 0),
                ]
                .map(|(status, accepted_at_ms)| DepositOutcome { status, accepted_at_ms })
                .to_vec(),
            ),
        ),
        (
            "delivery",
            0,
            Reply::Delivery(vec![
                Item { seq: 41, accepted_at_ms: NOW_MS, envelope: envelope(EnvelopeKind::Message) },
                Item { seq: 42, accepted_at_ms: NOW_MS + 1, envelope: envelope(EnvelopeKind::Commit) },
            ]),
        ),
        ("caught_up", 0, Reply::CaughtUp { seq: 42 }),
        ("notice", 0, Reply::Notice { reconnect_after_ms: 12_345 }),
    ];
    for (name, status) in [
        ("ordered_accepted", OrderStatus::Accepted),
        ("ordered_duplicate", OrderStatus::Duplicate),
        ("ordered_stale", OrderStatus::Stale),
        ("ordered_forbidden", OrderStatus::Forbidden),
    ] {
        let accepted = matches!(status, OrderStatus::Accepted | OrderStatus::Duplicate);
        let outcome = DepositOutcome { status: DepositStatus::Accepted, accepted_at_ms: NOW_MS };
        all.push((
            name,
            10,
            Reply::Ordered(Ordered {
                status,
                generation: 3,
                epoch: 8,
                accepted_at_ms: if accepted { NOW_MS } else { 0 },
                outcomes: if accepted { vec![outcome] } else { vec![] },
            }),
        ));
    }
    for (name, code, detail, retry_after_ms) in [
        ("refused_bad_frame", ErrorCode::BadFrame, "device: 15 bytes instead of 16", 0),
        ("refused_unauthenticated", ErrorCode::Unauthenticated, "authenticate first", 0),
        ("refused_unknown_device", ErrorCode::UnknownDevice, "device: not known here", 0),
        ("refused_conflict", ErrorCode::Conflict, "it exists already, with other contents", 0),
        ("refused_not_found", ErrorCode::NotFound, "account: not known here", 0),
        ("refused_forbidden", ErrorCode::Forbidden, "account: not this device's", 0),
        ("refused_rate_limited", ErrorCode::RateLimited, "too much at once", 600_000),
        ("refused_unavailable", ErrorCode::Unavailable, "", 1_000),
        ("refused_too_large", ErrorCode::TooLarge, "sealed: more than 65536 bytes", 0),
    ] {
        all.push((name, 11, Reply::Refused(Refusal { code, detail: detail.into(), retry_after_ms })));
    }
    all
}

const NOW_MS: u64 = 1_800_000_000_000;

pub(crate) fn envelope(kind: EnvelopeKind) -> Envelope {
    Envelope {
        to: DeviceId(bytes(0x12)),
        uid: Uid(bytes(0x60)),
        conversation: ConversationId(bytes(0x50)),
        generation: 3,
        epoch: 7,
        kind,
        urgent: true,
        ttl_s: 3_600,
        sealed: b"sealed by Alice for Bob".to_vec(),
        pass: None,
    }
}

pub(crate) fn endpoint(text: &str) -> PushEndpoint {
    PushEndpoint::new(text).expect("within its bounds")
}

pub(crate) fn signed_entry(n: u8, next_key: Option<[u8; 32]>) -> SignedEntry {
    let next_key = next_key.map(|key| NextKey { key, signature: bytes(0xa0 + n) });
    SignedEntry { entry: vec![n; 24], signature: bytes(0x80 + n), signer: bytes(0x30), next_key }
}

/// `first` and then the numbers after it, so that a byte out of place shows.
fn bytes<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|at| first.wrapping_add(at as u8))
}
