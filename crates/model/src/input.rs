//! Where a task's input comes from.

use std::{fmt, str::FromStr};

use url::Url;

use crate::field::{cut, text_serde};

/// The URL of an input; so far `http` and `https`. Its text is kept exactly as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    text: String,
    url: Url,
}

impl Input {
    /// As it was sent; answered and told in callbacks.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As it is fetched.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// For logs: without the query, which may hold a signature.
    pub fn redacted(&self) -> String {
        let mut url = self.url.clone();
        if url.query().is_some() {
            url.set_query(Some("…"));
        }
        url.to_string()
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > 8192 {
            return Err("is longer than 8192 bytes".to_owned());
        }
        let url = Url::parse(text)
            .map_err(|error| format!("`{}` is not a URL ({error}); give http:// or https://", cut(text)))?;
        match url.scheme() {
            "http" | "https" => Ok(Self { text: text.to_owned(), url }),
            scheme => Err(format!("`{scheme}` inputs are not supported; give http:// or https://")),
        }
    }
}

text_serde!(Input);
