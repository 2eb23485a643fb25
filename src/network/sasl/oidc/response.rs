//! The responses of a token endpoint. Java: `HttpJwtRetriever.handleOutput`, `JwtResponseParser`.

use zeroize::Zeroizing;

use crate::network::http::{HttpFailure, HttpResponse};
use crate::network::sasl::json::Json;
use crate::utils::{Secret, printable};

/// Returns the token in a response.
///
/// # Errors
///
/// The response has none. The text shows the endpoint's reason for refusing, and nothing else of
/// the response.
pub(super) fn token_text(response: &HttpResponse) -> Result<Secret, HttpFailure> {
    let body = Zeroizing::new(String::from_utf8_lossy(&response.body).into_owned());
    if !matches!(response.status, 200 | 201) {
        return Err(HttpFailure {
            reason: format!("it responded with {}: {}", response.status, refusal(&body)),
            is_retriable: is_retriable(response.status),
        });
    }
    if body.trim().is_empty() {
        return Err(HttpFailure {
            reason: format!("it responded with {} and nothing else", response.status),
            is_retriable: true,
        });
    }
    let json = Json::parse(&body);
    let json = json.ok_or_else(|| HttpFailure::permanent("its response is not JSON"))?;
    let token = ["access_token", "id_token"].into_iter().find_map(|name| {
        let text = json.member(name)?.text()?.trim();
        (!text.is_empty()).then(|| Secret::new(text))
    });
    token.ok_or_else(|| {
        HttpFailure::permanent(format!(
            "its response has no access_token, but {}",
            members(&json)
        ))
    })
}

/// Returns whether the status allows a retry. Java: `UNRETRYABLE_HTTP_CODES`, and redirects.
fn is_retriable(status: u16) -> bool {
    !matches!(status, 300..=399 | 400..=407 | 409..=415 | 501 | 505)
}

/// Returns the reason in an error response. Java: `formatErrorMessage`.
fn refusal(body: &str) -> String {
    let json = Json::parse(body);
    let member = |name: &str| json.as_ref()?.member(name)?.text();
    let named = |error: &str, description: &str| {
        let error = member(error)?;
        Some(match member(description) {
            Some(description) => format!("{error} - {description}"),
            None => error.to_owned(),
        })
    };
    named("error", "error_description")
        .or_else(|| named("errorCode", "errorSummary"))
        .unwrap_or_else(|| match (body.trim(), &json) {
            ("", _) => "no reason is given".to_owned(),
            // Written anew, JSON has one form for each text, by which a secret in it is found.
            (_, Some(json)) => json.to_text().unwrap_or_else(|| members(json)),
            (body, None) => body.to_owned(),
        })
}

/// Returns the names in an object, without the values, which may be secrets.
fn members(json: &Json) -> String {
    let Json::Object(members) = json else {
        return "is no object".to_owned();
    };
    let names: Vec<&str> = members
        .iter()
        .map(|(name, _)| name.as_str())
        .take(16)
        .collect();
    match names.is_empty() {
        true => "is empty".to_owned(),
        false => printable(&names.join(", ")).to_string(),
    }
}
