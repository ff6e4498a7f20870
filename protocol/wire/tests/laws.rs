//! What holds for every frame: it survives the wire, and no bytes make reading panic.

use comptoir_wire::{
    AccountId, Claimed, CommitToken, ConversationId, DepositOutcome, DepositStatus, DeviceId, Envelope, EnvelopeKind,
    ErrorCode, Gate, Incarnation, Item, KeySignature, Limits, LogSlice, NewAccount, NextKey, OrderStatus, Ordered,
    Pass, Refusal, Reply, Request, SignedEntry, Uid, Welcome, frame_id, limits,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

#[allow(dead_code, reason = "each test needs another part")]
mod samples;

fn few_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..40)
}

prop_compose! {
    fn entries()(
        all in vec((few_bytes(), any::<[u8; 64]>(), any::<[u8; 32]>(), option::of(any::<([u8; 32], [u8; 64])>())), 0..4)
    ) -> Vec<SignedEntry> {
        all.into_iter()
            .map(|(entry, signature, signer, next_key)| {
                let next_key = next_key.map(|(key, signature)| NextKey { key, signature });
                SignedEntry { entry, signature, signer, next_key }
            })
            .collect()
    }
}

prop_compose! {
    fn envelope()(
        (to, uid, conversation) in any::<([u8; 16], [u8; 16], [u8; 16])>(),
        (generation, epoch, urgent, ttl_s) in any::<(u32, u64, bool, u32)>(),
        kind in prop_oneof![Just(EnvelopeKind::Message), Just(EnvelopeKind::Welcome), Just(EnvelopeKind::Commit)],
        (sealed, pass) in (few_bytes(), option::of(any::<[u8; 32]>())),
    ) -> Envelope {
        Envelope {
            to: DeviceId(to),
            uid: Uid(uid),
            conversation: ConversationId(conversation),
            generation, epoch, kind, urgent, ttl_s, sealed, pass,
        }
    }
}

fn envelopes() -> impl Strategy<Value = Vec<Envelope>> {
    vec(envelope(), 0..5)
}

fn outcomes() -> impl Strategy<Value = Vec<DepositOutcome>> {
    let status = prop_oneof![
        Just(DepositStatus::Accepted),
        Just(DepositStatus::Duplicate),
        Just(DepositStatus::Full),
        Just(DepositStatus::Gone),
        Just(DepositStatus::StaleEpoch),
        Just(DepositStatus::Forbidden),
        Just(DepositStatus::Closed),
    ];
    let outcome = (status, any::<u64>());
    vec(outcome.prop_map(|(status, accepted_at_ms)| DepositOutcome { status, accepted_at_ms }), 0..6)
}

fn device() -> impl Strategy<Value = DeviceId> {
    any::<[u8; 16]>().prop_map(DeviceId)
}

fn request() -> impl Strategy<Value = Request> {
    let account = || any::<[u8; 20]>().prop_map(AccountId);
    let conversation = || any::<[u8; 16]>().prop_map(ConversationId);
    prop_oneof![
        (device(), "[a-z0-9.:-]{0,255}", any::<[u8; 64]>(), 1..=limits::WINDOW_MAX).prop_map(
            |(device, address, signature, window)| Request::Authenticate { device, address, signature, window }
        ),
        (few_bytes(), any::<[u8; 32]>(), any::<[u8; 32]>(), entries(), device(), any::<[u8; 32]>()).prop_map(
            |(genesis, log_key, recovery_hash, entries, device, device_key)| {
                Request::CreateAccount(NewAccount { genesis, log_key, recovery_hash, entries, device, device_key })
            }
        ),
        (device(), any::<[u8; 32]>()).prop_map(|(device, device_key)| Request::AddDevice { device, device_key }),
        (device(), option::of(any::<([u8; 32], [u8; 64])>())).prop_map(|(device, signed)| {
            let signed = signed.map(|(signer, signature)| KeySignature { signer, signature });
            Request::RemoveDevice { device, signed }
        }),
        (account(), any::<u64>(), entries()).prop_filter_map("an entry", |(account, expected_len, entries)| {
            let entry = entries.into_iter().next()?;
            Some(Request::AppendLog { account, expected_len, entry })
        }),
        (account(), any::<u64>()).prop_map(|(account, from)| Request::ReadLog { account, from }),
        (vec(some_bytes(), 0..5), option::of(some_bytes()))
            .prop_map(|(packages, last_resort)| Request::PublishKeyPackages { packages, last_resort }),
        vec(device(), 0..=limits::CLAIMS_PER_FRAME_MAX).prop_map(|devices| Request::ClaimKeyPackages { devices }),
        envelopes().prop_map(|envelopes| Request::Deposit { envelopes }),
        option::of("[ -~]{1,1000}")
            .prop_map(|endpoint| Request::SetPush { endpoint: endpoint.map(|endpoint| samples::endpoint(&endpoint)) }),
        (account(), prop_oneof![Just(Gate::Open), Just(Gate::Window), Just(Gate::Shut)])
            .prop_map(|(peer, gate)| Request::SetGate { peer, gate }),
        (account(), vec(any::<([u8; 32], bool)>(), 0..=limits::PASSES_PER_FRAME_MAX)).prop_map(|(peer, passes)| {
            let passes = passes.into_iter().map(|(hash, once)| Pass { hash, once }).collect();
            Request::AddPasses { peer, passes }
        }),
        any::<u64>().prop_map(|upto_seq| Request::Ack { upto_seq }),
        (account(), conversation(), any::<u32>(), any::<[u8; 32]>(), envelopes()).prop_map(
            |(peer, conversation, generation, token_hash, envelopes)| {
                Request::OpenGeneration { peer, conversation, generation, token_hash, envelopes }
            }
        ),
        (account(), conversation(), any::<(u32, u64, [u8; 32], [u8; 32], [u8; 16])>(), envelopes()).prop_map(
            |(peer, conversation, (generation, epoch, token, next_token_hash, uid), envelopes)| {
                let (token, uid) = (CommitToken(token), Uid(uid));
                Request::SubmitCommit { peer, conversation, generation, epoch, token, next_token_hash, uid, envelopes }
            }
        ),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let claimed = prop_oneof![
        some_bytes().prop_map(Claimed::Fresh),
        some_bytes().prop_map(Claimed::LastResort),
        Just(Claimed::None),
    ];
    let order = prop_oneof![
        Just(OrderStatus::Accepted),
        Just(OrderStatus::Duplicate),
        Just(OrderStatus::Stale),
        Just(OrderStatus::Forbidden),
    ];
    let code = prop_oneof![
        Just(ErrorCode::BadFrame),
        Just(ErrorCode::Unauthenticated),
        Just(ErrorCode::UnknownDevice),
        Just(ErrorCode::Conflict),
        Just(ErrorCode::NotFound),
        Just(ErrorCode::Forbidden),
        Just(ErrorCode::RateLimited),
        Just(ErrorCode::Unavailable),
        Just(ErrorCode::TooLarge),
    ];
    let item = (any::<(u64, u64)>(), envelope()).prop_map(|((seq, accepted_at_ms), envelope)| Item {
        seq,
        accepted_at_ms,
        envelope,
    });
    prop_oneof![
        any::<([u8; 32], u64)>().prop_map(|(nonce, server_time_ms)| Reply::Challenge { nonce, server_time_ms }),
        (
            any::<([u8; 16], u64, u64, u64, u32, u32, u32, u32)>(),
            option::of(vec(any::<u8>(), 65)),
            any::<(bool, u64, Option<[u8; 16]>)>()
        )
            .prop_map(
                |(
                    (incarnation, server_time_ms, acked_seq, head_seq, key_packages_left, bytes, envelopes, packages),
                    push_key,
                    (push_told, lost_since_ms, last_uid),
                )| {
                    Reply::Welcome(Welcome {
                        incarnation: Incarnation(incarnation),
                        server_time_ms,
                        acked_seq,
                        head_seq,
                        key_packages_left,
                        limits: Limits {
                            envelope_bytes_max: bytes,
                            envelopes_per_frame_max: envelopes,
                            key_packages_max: packages,
                        },
                        push_key: push_key.map(|key| Box::new(key.try_into().expect("65 bytes"))),
                        push_told,
                        lost_since_ms,
                        last_uid: last_uid.map(Uid),
                    })
                }
            ),
        Just(Reply::Done),
        any::<(bool, u64)>().prop_map(|(appended, len)| Reply::LogHead { appended, len }),
        (few_bytes(), any::<(u64, u64)>(), entries())
            .prop_map(|(genesis, (from, len), entries)| Reply::Log(LogSlice { genesis, from, entries, len })),
        any::<u32>().prop_map(|left| Reply::KeyPackageCount { left }),
        vec(claimed, 0..5).prop_map(Reply::KeyPackages),
        outcomes().prop_map(Reply::Deposited),
        vec(item, 0..5).prop_map(Reply::Delivery),
        any::<u64>().prop_map(|seq| Reply::CaughtUp { seq }),
        (order, any::<(u32, u64, u64)>(), outcomes()).prop_map(
            |(status, (generation, epoch, accepted_at_ms), outcomes)| {
                Reply::Ordered(Ordered { status, generation, epoch, accepted_at_ms, outcomes })
            }
        ),
        any::<u64>().prop_map(|reconnect_after_ms| Reply::Notice { reconnect_after_ms }),
        (code, ".{0,60}", any::<u64>()).prop_map(|(code, detail, retry_after_ms)| Reply::Refused(Refusal {
            code,
            detail,
            retry_after_ms
        })),
    ]
}

/// Reads bytes as anything. What could be read must come back the same.
fn read(bytes: &[u8]) {
    let _ = frame_id(bytes);
    if let Ok((id, request)) = Request::decode(bytes) {
        assert_eq!(Request::decode(&request.clone().encode(id)), Ok((id, request)));
    }
    if let Ok((id, reply)) = Reply::decode(bytes) {
        assert_eq!(Reply::decode(&reply.clone().encode(id)), Ok((id, reply)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_survives_the_wire(id in any::<u64>(), request in request()) {
        let frame = request.clone().encode(id);
        prop_assert_eq!(frame_id(&frame), id);
        prop_assert_eq!(Request::decode(&frame), Ok((id, request)));
    }

    #[test]
    fn a_reply_survives_the_wire(id in any::<u64>(), reply in reply()) {
        let frame = reply.clone().encode(id);
        prop_assert_eq!(frame_id(&frame), id);
        prop_assert_eq!(Reply::decode(&frame), Ok((id, reply)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..600)) {
        read(&bytes);
    }

    /// Damaged frames get further than noise does.
    #[test]
    fn damaged_frames_never_panic(
        sample in 0..samples::all().len(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = samples::all().swap_remove(sample).bytes;
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read(&bytes);
    }
}
