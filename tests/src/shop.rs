//! The Bakery: a practice provider and a till, with a pay page that a story can tap on.

use std::net::SocketAddr;
use std::path::PathBuf;

use comptoir_client::{CheckoutView, PaymentState, Sheet};
use comptoir_content::{ConversationId, Handoff};
use comptoir_gateway::{Gateway, NewShop, init};
use comptoir_sandbox::Sandbox;

use crate::{PATIENCE, Person, Town, free_address};

const SECRET: &str = "sk_practice_the_bakery";
const WEBHOOK_SECRET: &str = "whsec_practice_the_bakery";

/// The Bakery's till and its provider.
pub struct Bakery {
    pub till: Option<Gateway>,
    pub provider: Option<Sandbox>,
    pub link: String,
    provider_address: SocketAddr,
    webhooks: SocketAddr,
}

impl Town {
    pub fn bakery_dir(&self) -> PathBuf {
        self.dir.path().join("bakery")
    }

    /// Opens the Bakery for the first time.
    pub async fn bakery(&self) -> Bakery {
        // The provider has to know where the till listens before either is there.
        let webhooks = free_address();
        let provider = start_provider(self, free_address(), webhooks).await;
        let provider_address = provider.address();
        let dir = self.bakery_dir();
        std::fs::create_dir_all(&dir).expect("a folder");
        let write = |name: &str, text: String| std::fs::write(dir.join(name), text).expect("a file");
        write(
            "gateway.toml",
            format!(
                "listen = \"{webhooks}\"\n[providers.sandbox]\nurl = \"http://{provider_address}\"\n\
             account = \"the-bakery\"\nsecret_key_file = \"sandbox.key\"\nwebhook_secret_file = \"sandbox.webhook\"\n"
            ),
        );
        write("sandbox.key", SECRET.to_owned());
        write("sandbox.webhook", WEBHOOK_SECRET.to_owned());
        write(
            "catalogue.toml",
            "greeting = \"Bonjour! What can I get you?\"\ncurrency = \"EUR\"\n\
             [[product]]\nid = \"croissant\"\ntitle = \"Croissant\"\nprice_minor = 120\n\
             [[product]]\nid = \"baguette\"\ntitle = \"Baguette\"\ndescription = \"Still warm\"\nprice_minor = 95\n"
                .to_owned(),
        );
        #[cfg(unix)]
        for secret in ["sandbox.key", "sandbox.webhook"] {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(dir.join(secret), mode).expect("its mode");
        }
        let shop = NewShop {
            name: "The Bakery".to_owned(),
            about: "Bread since 1907".to_owned(),
            relay: self.relay_url(),
            owner_key: self.dir.path().join("owner.key"),
        };
        let link = init(&dir, &shop, Some(self.clock())).await.expect("a shop");
        let mut bakery = Bakery { till: None, provider: Some(provider), link, provider_address, webhooks };
        bakery.opens(self).await;
        bakery
    }
}

/// Alice has scanned the Bakery's code.
pub async fn at_the_counter() -> (Town, Bakery, Person, ConversationId) {
    let town = Town::new().await;
    let bakery = town.bakery().await;
    let alice = town.arrives("alice").await;
    let chat = alice.client.add_contact(&bakery.link).await.expect("a contact");
    (town, bakery, alice, chat)
}

async fn start_provider(town: &Town, listen: SocketAddr, webhooks: SocketAddr) -> Sandbox {
    let mut config = comptoir_sandbox::Config::new(listen, SECRET);
    let url = format!("http://{webhooks}/webhooks/sandbox");
    config.webhook = Some(comptoir_sandbox::Webhook::new(url, WEBHOOK_SECRET));
    config.state_file = Some(town.dir.path().join("sandbox.json"));
    let clock = town.clock();
    config.clock = comptoir_sandbox::Clock::from_fn(move || clock().0);
    Sandbox::start(config).await.expect("a provider")
}

impl Bakery {
    /// The till starts, for the first time or again.
    pub async fn opens(&mut self, town: &Town) {
        let till = Gateway::start(&town.bakery_dir(), Some(town.clock())).await.expect("a till");
        // Its key packages are at the relay, so that whoever scans the code can write at once.
        till.client().sync(None).await.expect("a relay");
        self.till = Some(till);
    }

    /// The till ends; what it had begun stays in its books.
    pub async fn closes(&mut self) {
        self.till.take().expect("it runs").shutdown().await;
    }

    pub async fn provider_goes_down(&mut self) {
        self.provider.take().expect("it runs").shutdown().await;
    }

    pub async fn provider_comes_back(&mut self, town: &Town) {
        self.provider = Some(start_provider(town, self.provider_address, self.webhooks).await);
    }

    /// Every webhook was taken by the till, or given up.
    pub async fn provider_has_told_all(&self) {
        let done = self.provider.as_ref().expect("it runs").webhooks_done();
        tokio::time::timeout(PATIENCE, done).await.expect("the till takes what the provider sends");
    }

    /// The till looks at the clock.
    pub async fn ticks(&self) {
        self.till.as_ref().expect("it runs").tick().await.expect("a tick");
    }

    /// The books, once there are so many postings in them.
    pub async fn until_books(&self, town: &Town, postings: i64) -> serde_json::Value {
        let waiting = async {
            loop {
                let books = self.books(town).await;
                if books["postings"] == postings {
                    return books;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the till never got there")
    }

    /// Charges that the provider made, in minor units.
    pub async fn charges(&self) -> Vec<i64> {
        self.events("payment.succeeded").await.into_iter().map(|(_, amount)| amount).collect()
    }

    /// Refunds that the provider made, in minor units.
    pub async fn gave_back(&self) -> Vec<i64> {
        self.events("refund.succeeded").await.into_iter().map(|(_, amount)| amount).collect()
    }

    /// What happened at the provider: ids and minor units.
    async fn events(&self, kind: &str) -> Vec<(String, i64)> {
        let url = format!("http://{}/v1/events", self.provider_address);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let response = client.get(url).bearer_auth(SECRET).send().await.expect("the provider answers");
        let events: serde_json::Value = response.json().await.expect("JSON");
        let list = events["events"].as_array().expect("a list").clone();
        let mut found: Vec<(String, i64)> = list
            .iter()
            .filter(|event| event["type"] == kind)
            .map(|event| {
                let what = &event["data"];
                (what["id"].as_str().expect("an id").to_owned(), what["amount_minor"].as_i64().expect("an amount"))
            })
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// A refund of the one charge there is that the till did not ask for, as somebody makes it on the provider's own page.
    pub async fn provider_refunds(&self, reference: &str, amount_minor: i64) {
        let payment = self.events("payment.succeeded").await[0].0.clone();
        let url = format!("http://{}/v1/refunds", self.provider_address);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let body = serde_json::json!({ "payment": payment, "amount_minor": amount_minor, "reference": reference });
        let request = client.post(url).bearer_auth(SECRET).header("idempotency-key", "by-hand").json(&body);
        assert_eq!(request.send().await.expect("the provider answers").status(), 201);
    }

    /// The provider says something else from now on than it did: the one piece of its books is another.
    pub async fn provider_changes_its_mind(&mut self, town: &Town, from: &str, to: &str) {
        self.provider_goes_down().await;
        let file = town.dir.path().join("sandbox.json");
        let books = std::fs::read_to_string(&file).expect("its books");
        assert!(books.contains(from), "{books}");
        std::fs::write(&file, books.replace(from, to)).expect("its books");
        self.provider_comes_back(town).await;
    }

    /// The operator's list of orders.
    pub async fn orders(&self, town: &Town) -> Vec<comptoir_gateway::OrderRow> {
        let (status, orders) =
            comptoir_gateway::call(&town.bakery_dir(), "/orders", None).await.expect("the till answers");
        assert_eq!(status, 200, "{orders}");
        serde_json::from_value(orders).expect("orders")
    }

    /// The operator's view of the books.
    pub async fn books(&self, town: &Town) -> serde_json::Value {
        let (status, books) =
            comptoir_gateway::call(&town.bakery_dir(), "/ledger", None).await.expect("the till answers");
        assert_eq!(status, 200, "{books}");
        books
    }

    /// The operator makes a bill of one croissant, for whoever scans its code. Gives the status and the answer.
    pub async fn makes_bill(&self, town: &Town, id: [u8; 16], payments: u32) -> (u16, serde_json::Value) {
        let bill = comptoir_content::InvoiceId(id).to_string();
        let lines = serde_json::json!([{ "label": "Croissant", "quantity": 2, "unit_minor": 120 },
            { "label": "Regular", "quantity": 1, "unit_minor": -20 }]);
        let body = serde_json::json!({ "bill": bill, "title": "Table 4", "lines": lines, "minutes": 60,
            "max_payments": payments });
        comptoir_gateway::call(&town.bakery_dir(), "/bill", Some(body)).await.expect("the till answers")
    }

    pub async fn refunds(
        &self,
        town: &Town,
        order: comptoir_content::OrderId,
        amount_minor: Option<i64>,
    ) -> (u16, serde_json::Value) {
        let body = serde_json::json!({ "order": order.to_string(), "amount_minor": amount_minor });
        comptoir_gateway::call(&town.bakery_dir(), "/refund", Some(body)).await.expect("the till answers")
    }
}

/// A person types a practice card into the provider's page. Gives the page's answer, whatever it is.
pub async fn types_card(sheet: &Sheet, card: &str) -> (u16, serde_json::Value) {
    let Handoff::Page { url } = &sheet.handoff else { panic!("not a page") };
    let answer = comptoir_sandbox::type_card(url, card).await.expect("the page answers");
    (answer.status, answer.body)
}

/// The person's bank asks, and they say yes or no. Gives the page's answer.
pub async fn answers_bank(sheet: &Sheet, page: &serde_json::Value, approves: bool) -> (u16, serde_json::Value) {
    let Handoff::Page { url } = &sheet.handoff else { panic!("not a page") };
    let path = page["action_path"].as_str().expect("the bank asks");
    let answer = comptoir_sandbox::answer_bank(url, path, approves).await.expect("the page answers");
    (answer.status, answer.body)
}

impl Person {
    /// The newest invoice in a chat.
    pub fn bill(&self, chat: ConversationId) -> Option<CheckoutView> {
        self.bubbles(chat).into_iter().rev().find_map(|bubble| bubble.checkout)
    }

    /// Says hello, and taps the chip with this title when the shop has answered.
    pub async fn orders(&self, chat: ConversationId, title: &str) -> CheckoutView {
        self.says(chat, "Bonjour").await;
        let on = self
            .until("the greeting", |me| {
                let greeting =
                    me.bubbles(chat).into_iter().rfind(|bubble| !bubble.mine && !bubble.replies.is_empty())?;
                Some(greeting.uid)
            })
            .await;
        self.client.tap(chat, on, title).await.expect("a tap");
        self.until("the bill", |me| me.bill(chat).filter(|bill| bill.state == PaymentState::Offered)).await
    }

    /// Taps Pay and waits for the payment sheet.
    pub async fn taps_pay(&self, chat: ConversationId, bill: &CheckoutView) -> Sheet {
        self.client.pay(bill.invoice, comptoir_client::PayChoice::default()).await.expect("a tap on Pay");
        self.until("the payment sheet", |me| me.bill(chat)?.sheet).await
    }

    pub async fn bill_is(&self, chat: ConversationId, state: PaymentState) -> CheckoutView {
        self.until(state.name(), |me| me.bill(chat).filter(|bill| bill.state == state)).await
    }
}
