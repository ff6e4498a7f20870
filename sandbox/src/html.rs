//! The pages that payers see: no script, nothing from elsewhere, light and dark. Everything that came from outside is
//! escaped, and the policy in [`headers`] allows this one style sheet and nothing else.

use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, header};
use data_encoding::BASE64;
use ring::digest::{SHA256, digest};

use crate::cards::PRACTICE_CARDS;
use crate::money;
use crate::refused::Refused;
use crate::world::{LastError, Payment, Status};

const STYLE: &str = include_str!("style.css");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64.encode(digest(&SHA256, STYLE.as_bytes()).as_ref());
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// What every page is sent with.
pub(crate) fn headers() -> [(HeaderName, HeaderValue); 3] {
    let policy = HeaderValue::from_str(&POLICY).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    [
        (header::CONTENT_SECURITY_POLICY, policy),
        // The address holds the token.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]
}

/// The payment page in whatever state the payment is, with what was just refused.
pub(crate) fn payment(payment: &Payment, refused: Option<&Refused>) -> String {
    let mut body = summary(payment);
    match (payment.status, refused) {
        (Status::AwaitingPayer, Some(refused)) => {
            body += &notice("bad", "That did not work", &sentence(refused));
            body += &card_form(payment);
        }
        (Status::AwaitingPayer, None) => {
            body += &match payment.last_error {
                Some(LastError::CardDeclined) => {
                    notice("bad", "The card was declined", "Nothing was paid. Try another card.")
                }
                Some(LastError::AuthenticationFailed) => {
                    notice("bad", "3-D Secure failed", "Nothing was paid. Try again or use another card.")
                }
                None => String::new(),
            };
            body += &card_form(payment);
        }
        (Status::RequiresAction, _) => {
            body += &notice("wait", "One more step", "Your bank asks for 3-D Secure.");
            body += &link(&payment.challenge_path(), "Go on", true);
        }
        (Status::Processing, _) => {
            body += &notice(
                "wait",
                "We are checking",
                "Something went wrong and it is not known yet whether you paid. Do not pay again.",
            );
            body += &link(&payment.page_path(), "Look again", false);
        }
        (Status::Succeeded, _) => body += &notice("good", "Paid", "The practice payment succeeded."),
        (Status::Canceled, _) => {
            body += &notice("bad", "Canceled", "The shop canceled this payment. Nothing was paid.")
        }
        (Status::Expired, _) => body += &notice("bad", "Expired", "The time to pay is over. Nothing was paid."),
    }
    if let Some(url) = &payment.return_url {
        body += &link(url, "Back to the shop", payment.status == Status::Succeeded);
    }
    page(title(payment.status), &body)
}

/// The bank's page, as it were.
pub(crate) fn challenge(payment: &Payment) -> String {
    let action = escape(&payment.challenge_path());
    let form = format!(
        "<h2>Is it you?</h2><p class=\"note\">This stands for the page of your bank (3-D Secure).</p>\
         <form method=\"post\" action=\"{action}\">\
         <button class=\"main\" name=\"outcome\" value=\"ok\">Approve</button>\
         <button name=\"outcome\" value=\"failed\">Fail</button></form>"
    );
    page("3-D Secure", &(summary(payment) + &form))
}

/// A page for somebody who has no payment.
pub(crate) fn nothing(refused: &Refused) -> String {
    page("Not found", &notice("bad", "Nothing here", &sentence(refused)))
}

fn summary(payment: &Payment) -> String {
    let description = payment.description.as_deref().map(|text| format!("<p class=\"what\">{}</p>", escape(text)));
    format!(
        "<p class=\"who\">Payment to {}</p><h1>{}</h1>{}",
        escape(&payment.account),
        escape(&money::display(payment.amount_minor, &payment.currency)),
        description.unwrap_or_default(),
    )
}

fn card_form(payment: &Payment) -> String {
    let action = escape(&payment.page_path());
    let mut form = format!(
        "<form method=\"post\" action=\"{action}\"><label for=\"card\">Card number</label>\
         <input id=\"card\" name=\"card\" inputmode=\"numeric\" autocomplete=\"off\" maxlength=\"23\" required \
         placeholder=\"4242 4242 4242 4242\" aria-describedby=\"warning\">\
         <p class=\"note\" id=\"warning\">Practice cards only. Never type a real card number.</p>\
         <button class=\"main\">Pay {}</button></form>\
         <h2 id=\"cards\">Or tap a practice card</h2>\
         <form method=\"post\" action=\"{action}\" aria-labelledby=\"cards\"><ul>",
        escape(&money::display(payment.amount_minor, &payment.currency)),
    );
    for card in &PRACTICE_CARDS {
        form += &format!(
            "<li><button class=\"card\" name=\"card\" value=\"{}\"><span class=\"number\">{}</span> <span class=\"does\">{}</span></button></li>",
            card.number,
            card.spaced(),
            escape(card.does),
        );
    }
    form + "</ul></form>"
}

fn notice(kind: &str, title: &str, text: &str) -> String {
    format!(
        "<div class=\"notice {kind}\" role=\"status\"><strong>{}</strong><p>{}</p></div>",
        escape(title),
        escape(text)
    )
}

fn link(to: &str, text: &str, is_main: bool) -> String {
    let class = if is_main { "button main" } else { "button" };
    format!("<a class=\"{class}\" rel=\"noreferrer\" href=\"{}\">{}</a>", escape(to), escape(text))
}

fn title(status: Status) -> &'static str {
    match status {
        Status::AwaitingPayer => "Pay",
        Status::RequiresAction => "One more step",
        Status::Processing => "Checking",
        Status::Succeeded => "Paid",
        Status::Canceled => "Canceled",
        Status::Expired => "Expired",
    }
}

/// A refusal as a sentence for a person.
fn sentence(refused: &Refused) -> String {
    let text = refused.to_string();
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\">\
         <title>{} · practice payment</title><style>{STYLE}</style></head>\
         <body><p class=\"ribbon\">TEST · no real money</p><main>{body}</main></body></html>",
        escape(title)
    )
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
