//! How a client learns how its command ended.

use serde_json::json;

/// What the streams are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Exec,
    Attach,
}

/// What is written to the error stream: a `Status` since version 4, before only the text of an error.
pub fn text(version: u8, purpose: Purpose, result: &Result<i32, String>) -> Vec<u8> {
    let doing = match purpose {
        Purpose::Exec => "error executing command in container",
        Purpose::Attach => "error attaching to container",
    };
    match (version >= 4, result, purpose) {
        // Attaching succeeds however the container ends; its own status tells how.
        (true, Ok(_), Purpose::Attach) | (true, Ok(0), _) => json!({ "metadata": {}, "status": "Success" }),
        (true, Ok(code), _) => json!({
            "metadata": {},
            "status": "Failure",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "reason": "NonZeroExitCode",
            "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
        }),
        (true, Err(why), _) => json!({
            "metadata": {},
            "status": "Failure",
            "message": format!("Internal error occurred: {doing}: {why}"),
            "reason": "InternalError",
            "details": { "causes": [{ "message": format!("{doing}: {why}") }] },
            "code": 500,
        }),
        (false, Ok(0), _) | (false, Ok(_), Purpose::Attach) => return Vec::new(),
        (false, Ok(code), _) => {
            return format!("{doing}: command terminated with non-zero exit code: exit status {code}")
                .into_bytes();
        }
        (false, Err(why), _) => return format!("{doing}: {why}").into_bytes(),
    }
    .to_string()
    .into_bytes()
}
