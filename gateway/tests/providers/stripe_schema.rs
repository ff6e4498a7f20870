//! Every request that we make fits Stripe's published schema, and the answers in our tests have the shape it promises.

use comptoir_engine::payment::Status;
use comptoir_gateway::provider::{Find, HttpRequest, Method, Operation, Outcome, Provider};
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::bakery::*;
use crate::stripe_answers::{charge, error, intent, list, paid, refund};

const URL: &str = "https://api.stripe.com";

/// The extract in `tests/data`, as JSON Schema: OpenAPI 3.0 has a word of its own for "or null".
struct Published {
    extract: Value,
}

impl Published {
    fn read() -> Self {
        let text = include_str!("../data/stripe-openapi-extract.json");
        let extract = nullable_to_any_of(serde_json::from_str(text).unwrap());
        Self { extract }
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        schema["components"] = self.extract["components"].clone();
        jsonschema::validator_for(&schema).unwrap()
    }

    /// What is wrong with an object of the schema of that name.
    fn faults_of_object(&self, name: &str, object: &Value) -> Vec<String> {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        faults(&self.validator(&schema), object)
    }

    /// What is wrong with a request.
    fn faults_of_request(&self, request: &HttpRequest) -> Vec<String> {
        let url = reqwest::Url::parse(&request.url).unwrap();
        assert_eq!(url.host_str(), Some("api.stripe.com"));
        let method = match request.method {
            Method::Get => "get",
            Method::Post => "post",
        };
        let paths = self.extract["paths"].as_object().unwrap();
        let Some((_, path)) = paths.iter().find(|(template, _)| fits(template, url.path())) else {
            return vec![format!("no such address: {}", url.path())];
        };
        let Some(endpoint) = path.get(method) else {
            return vec![format!("no {method} there")];
        };
        let mut faults = self.faults_of_fields(&query_schema(&endpoint["parameters"]), &url);
        if request.method == Method::Post {
            let form = reqwest::Url::parse(&format!("{URL}/?{}", body_text(request))).unwrap();
            faults.extend(self.faults_of_fields(&endpoint["request"], &form));
        }
        faults
    }

    fn faults_of_fields(&self, schema: &Value, url: &reqwest::Url) -> Vec<String> {
        let mut fields = Map::new();
        for (name, value) in url.query_pairs() {
            insert(&mut fields, &name, &value);
        }
        let fields = coerced(indices_to_lists(Value::Object(fields)), schema);
        faults(&self.validator(schema), &fields)
    }
}

fn faults(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|error| error.to_string()).collect()
}

fn fits(template: &str, path: &str) -> bool {
    let [template, path] = [template, path].map(|text| text.split('/').collect::<Vec<_>>());
    let same = |(wanted, given): (&&str, &&str)| wanted == given || wanted.starts_with('{');
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

fn query_schema(parameters: &Value) -> Value {
    let parameters = parameters.as_array().unwrap().iter();
    let in_query = parameters.filter(|parameter| parameter["in"] == "query");
    let properties: Map<String, Value> =
        in_query.map(|parameter| (text(&parameter["name"]).to_owned(), parameter["schema"].clone())).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn nullable_to_any_of(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut object: Map<String, Value> =
                object.into_iter().map(|(name, value)| (name, nullable_to_any_of(value))).collect();
            match object.remove("nullable") {
                Some(Value::Bool(true)) => json!({ "anyOf": [{ "type": "null" }, object] }),
                _ => Value::Object(object),
            }
        }
        Value::Array(list) => list.into_iter().map(nullable_to_any_of).collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

/// `metadata[reference]` becomes an object in an object; `expand[]` and `expand[0]` an object with numbers for names.
fn insert(fields: &mut Map<String, Value>, name: &str, value: &str) {
    let mut path = name.split('[').map(|part| part.strip_suffix(']').unwrap_or(part));
    let mut place = fields.entry(path.next().unwrap()).or_insert(Value::Null);
    for part in path {
        if place.is_null() {
            *place = json!({});
        }
        let inner = place.as_object_mut().unwrap();
        let part = if part.is_empty() { inner.len().to_string() } else { part.to_owned() };
        place = inner.entry(part).or_insert(Value::Null);
    }
    assert!(place.is_null(), "{name} stands there twice");
    *place = json!(value);
}

fn indices_to_lists(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let is_list = !object.is_empty() && (0..object.len()).all(|i| object.contains_key(&i.to_string()));
            let object = object.into_iter().map(|(name, value)| (name, indices_to_lists(value)));
            if is_list { object.map(|(_, value)| value).collect() } else { Value::Object(object.collect()) }
        }
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => plain,
    }
}

/// Text becomes the number that the schema wants, if it is one.
fn coerced(value: Value, schema: &Value) -> Value {
    match value {
        Value::String(text) => match text.parse::<i64>() {
            Ok(number) if schema["type"] == "integer" => json!(number),
            _ => Value::String(text),
        },
        Value::Array(list) => list.into_iter().map(|value| coerced(value, &schema["items"])).collect(),
        Value::Object(object) => object
            .into_iter()
            .map(|(name, value)| {
                let property = &schema["properties"][&name];
                let coerced = coerced(value, property);
                (name, coerced)
            })
            .collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}

#[test]
fn every_request_fits_the_published_schema() {
    let published = Published::read();
    let stripe = stripe(URL);
    let mut bare = create(amount("1500", "JPY"));
    bare.description = "";
    bare.return_url = None;
    for request in [
        stripe.create(&create(amount("12.50", "EUR"))),
        stripe.create(&bare),
        stripe.read("pi_3Nx"),
        stripe.find(&find()),
        stripe.find(&Find { after: Some("pi_3Nx"), ..find() }),
        stripe.cancel("pi_3Nx", "key"),
        stripe.refund(&refund_of("pi_3Nx", amount("2.50", "EUR"), "refund-1")),
        stripe.find_refund("pi_3Nx"),
    ] {
        assert_eq!(
            published.faults_of_request(&request),
            Vec::<String>::new(),
            "{} {}",
            request.url,
            body_text(&request)
        );
    }
}

#[test]
fn the_check_finds_what_is_wrong() {
    let published = Published::read();
    let good = stripe(URL).create(&create(amount("12.50", "EUR")));
    let check = |spoil: &dyn Fn(&str) -> String, expected: &str| {
        let mut request = good.clone();
        *request.body = spoil(body_text(&good)).into_bytes();
        let faults = published.faults_of_request(&request).join("; ");
        assert!(faults.contains(expected), "{faults} where {expected} was expected");
    };
    check(&|body| body.replace("amount=1250&", ""), "\"amount\" is a required property");
    check(&|body| body.replace("1250", "12.50"), "is not of type \"integer\"");
    check(&|body| format!("{body}&tip=1"), "'tip' was unexpected");
    check(&|body| format!("{body}&capture_method=never"), "\"never\" is not one of");
    check(&|body| body.replace("%5B0%5D", ""), "is not of type \"array\"");
    check(&|_| "amount=1&currency=eur&metadata=x".to_owned(), "\"x\" is not");
    let mut request = stripe(URL).find(&find());
    request.url.push_str("&reference=x");
    assert!(!published.faults_of_request(&request).is_empty());
    request.url = format!("{URL}/v1/charges");
    assert!(!published.faults_of_request(&request).is_empty());
    assert!(!published.faults_of_object("payment_intent", &intent(&json!({ "amount": "1250" }))).is_empty());
}

#[test]
fn the_answers_in_our_tests_have_the_published_shape() {
    let published = Published::read();
    let declined = error("card_error", Some("card_declined"), None)["error"].clone();
    for (name, object) in [
        ("payment_intent", intent(&json!({}))),
        ("payment_intent", paid()),
        ("payment_intent", intent(&json!({ "last_payment_error": declined }))),
        ("payment_intent", intent(&json!({ "on_behalf_of": "acct_thief" }))),
        ("payment_intent", intent(&json!({ "transfer_data": { "destination": "acct_thief" } }))),
        ("charge", charge()),
        ("refund", refund(&json!({}))),
        ("refund", refund(&json!({ "status": null, "metadata": null }))),
        ("error", error("invalid_request_error", Some("amount_too_small"), Some("amount"))),
    ] {
        assert_eq!(published.faults_of_object(name, &object), Vec::<String>::new(), "{name} {object}");
    }
    for (address, data) in [("/v1/payment_intents", paid()), ("/v1/refunds", refund(&json!({})))] {
        let schema = &published.extract["paths"][address]["get"]["response"];
        let list = list(&[data], true);
        assert_eq!(faults(&published.validator(schema), &list), Vec::<String>::new(), "{address}");
    }
}

#[test]
fn every_published_status_is_understood() {
    let published = Published::read();
    let statuses = &published.extract["components"]["schemas"]["payment_intent"]["properties"]["status"]["enum"];
    let statuses = statuses.as_array().unwrap();
    assert_eq!(statuses.len(), 7);
    for status in statuses {
        let body = intent(&json!({ "status": status }));
        let outcome = stripe(URL).parse_payment(&answer(Operation::Read, 200, &body));
        assert!(matches!(outcome, Outcome::Seen { .. }), "{status}");
        let is_paid = matches!(seen(outcome).0.status, Status::Captured { .. });
        assert_eq!(is_paid, status == "succeeded", "{status}");
    }
}
