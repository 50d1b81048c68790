//! Who may send: bearer tokens of callers.

use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::answer::Refusal;
use crate::client::Secret;

/// A token that callers must show. What is kept is its digest: comparing digests tells nothing
/// of how much of a token is right.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// Callers must show this.
    pub fn new(token: &Secret) -> Self {
        Self(digest(token.expose()))
    }

    /// Whether a request shows it.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let shown = headers.get(header::AUTHORIZATION);
        let shown = shown.and_then(|value| value.to_str().ok()?.split_once(' '));
        match shown {
            Some((scheme, token))
                if scheme.eq_ignore_ascii_case("bearer") && digest(token.trim()) == self.0 =>
            {
                Ok(())
            }
            _ => {
                let message = "the request shows no token, or another: Authorization: Bearer TOKEN";
                Err(Refusal::new(StatusCode::UNAUTHORIZED, message))
            }
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_and_nothing_else_is_let_in() {
        let token = Token::new(&Secret::new("s3cret"));
        let check = |shown: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, shown.parse().unwrap());
            token.check(&headers).is_ok()
        };
        assert!(check("Bearer s3cret") && check("bearer  s3cret "));
        for shown in [
            "",
            "s3cret",
            "Basic s3cret",
            "Bearer",
            "Bearer s3cre",
            "Bearer s3cret2",
        ] {
            assert!(!check(shown), "{shown}");
        }
        let refusal = token.check(&HeaderMap::new()).unwrap_err();
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
    }
}
