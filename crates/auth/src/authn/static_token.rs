//! Tokens from a file, as `--token-auth-file` has them: `token,user,uid,"group1,group2"` a line.

use std::collections::HashMap;

use async_trait::async_trait;

use crate::authn::{TokenAuthenticator, TokenUser, UserInfo};

/// Tokens that never change while we run. Good at the API server's own audiences only.
pub struct StaticTokens {
    users: HashMap<String, UserInfo>,
    audiences: Vec<String>,
}

impl StaticTokens {
    pub fn new(users: impl IntoIterator<Item = (String, UserInfo)>, audiences: Vec<String>) -> Self {
        StaticTokens { users: users.into_iter().collect(), audiences }
    }

    /// Reads the file's text. The error names the line.
    pub fn parse(csv: &str, audiences: Vec<String>) -> Result<Self, String> {
        let mut users = HashMap::new();
        for (number, line) in csv.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let fields = fields(line).ok_or_else(|| format!("line {}: unbalanced quotes", number + 1))?;
            let [token, name, uid, rest @ ..] = &fields[..] else {
                return Err(format!("line {}: a token, a user and a uid are needed", number + 1));
            };
            if token.is_empty() {
                return Err(format!("line {}: empty token", number + 1));
            }
            let groups = rest.first().map(String::as_str).unwrap_or_default();
            let user = UserInfo {
                name: name.clone(),
                uid: uid.clone(),
                groups: groups
                    .split(',')
                    .map(str::trim)
                    .filter(|g| !g.is_empty())
                    .map(str::to_owned)
                    .collect(),
                ..UserInfo::default()
            };
            users.insert(token.clone(), user);
        }
        Ok(StaticTokens { users, audiences })
    }
}

/// A line's fields: separated by commas, quotable, quotes doubled within quotes (RFC 4180). `None`: a quote stays open.
fn fields(line: &str) -> Option<Vec<String>> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field).trim().to_owned()),
            c => field.push(c),
        }
    }
    fields.push(field.trim().to_owned());
    (!quoted).then_some(fields)
}

#[async_trait]
impl TokenAuthenticator for StaticTokens {
    async fn authenticate_token(
        &self,
        token: &str,
        audiences: &[String],
    ) -> Result<Option<TokenUser>, String> {
        let good: Vec<String> = self.audiences.iter().filter(|a| audiences.contains(a)).cloned().collect();
        if good.is_empty() && !self.audiences.is_empty() {
            return Ok(None);
        }
        Ok(self.users.get(token).map(|user| TokenUser { user: user.clone(), audiences: good }))
    }
}
