//! What can happen to a core.

use comptoir_content::{
    AccountId, AccountLog, BillCode, ContactCode, ConversationId, DeviceCertificate, DeviceId, DeviceRequest, OrderId,
    Signed, SigningKey, Uid, VerifyCode,
};
use comptoir_engine::account::Account;
use comptoir_engine::checkout::{SheetHint, State};

use super::{Actor, Reply};
use crate::link::News;
use crate::turns::checkout::Tapped;

/// Everything that can happen. Closed: a new thing that changes the world is a new line here.
#[allow(clippy::large_enum_variant, reason = "few are alive at once")]
pub(crate) enum Input {
    /// A person's account.
    CreateAccount {
        relay: String,
        reply: Reply<()>,
    },
    Link(News),
    AddContact {
        code: ContactCode,
        reply: Reply<ConversationId>,
    },
    SendText {
        chat: ConversationId,
        text: String,
        reply_to: Option<Uid>,
        reply: Reply<Uid>,
    },
    SendTexts {
        chat: ConversationId,
        texts: Vec<String>,
        reply: Reply<Vec<Uid>>,
    },
    Tap {
        chat: ConversationId,
        on: Uid,
        title: String,
        reply: Reply<Uid>,
    },
    GiveToken {
        chat: ConversationId,
        reply: Reply<Uid>,
    },
    MarkRead {
        chat: ConversationId,
        upto: Option<i64>,
        reply: Reply<()>,
    },
    Block {
        account: AccountId,
        blocked: bool,
        reply: Reply<()>,
    },
    SetVerified {
        account: AccountId,
        verified: bool,
        reply: Reply<()>,
    },
    /// The code of a bill was scanned.
    AskBill {
        code: BillCode,
        reply: Reply<ConversationId>,
    },
    /// Somebody's verify code was scanned, in the chat with `expected` or anywhere.
    CheckCode {
        expected: Option<AccountId>,
        code: VerifyCode,
        reply: Reply<ConversationId>,
    },
    Pay {
        invoice: [u8; 32],
        tapped: Tapped,
        reply: Reply<State>,
    },
    SheetClosed {
        order: OrderId,
        hint: SheetHint,
        reply: Reply<State>,
    },
    AskNow {
        reply: Reply<()>,
    },
    LinkDevice {
        request: DeviceRequest,
        reply: Reply<(Account, Signed<DeviceCertificate>, String)>,
    },
    FinishLink {
        grant: FinishLink,
        reply: Reply<()>,
    },
    /// A turn of a room that extends the store: the till.
    Extension(Box<dyn FnOnce(&mut Actor) + Send>),
    /// Where the shell says that it can be woken.
    Push {
        endpoint: Option<comptoir_wire::PushEndpoint>,
    },
    /// The clock may have moved.
    Tick {
        reply: Reply<()>,
    },
    /// Dials now. Answered when the status shows everything that was asked before.
    Connect {
        reply: Option<Reply<()>>,
    },
    Disconnect,
    Stop,
}

pub(crate) struct FinishLink {
    pub(crate) log: AccountLog,
    pub(crate) certificate: Signed<DeviceCertificate>,
    pub(crate) device: DeviceId,
    pub(crate) key: SigningKey,
    pub(crate) relay: String,
}
