//! Signatures compared to those that AWS publishes, and each place where credentials are found.

use std::cell::RefCell;

use zeroize::Zeroizing;

use super::presigned_request::{NO_PAYLOAD, basic_time, parsed_time};
use super::*;
use crate::network::http::{HttpFailure, HttpRequest, HttpResponse};
use crate::utils::mutations::mutated;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The time of AWS's test suite.
const MOMENT: i64 = 1_440_938_160;

#[test]
fn times_are_those_of_the_calendar() {
    for (seconds, basic, text) in [
        (0, "19700101T000000Z", "1970-01-01T00:00:00Z"),
        (MOMENT, "20150830T123600Z", "2015-08-30T12:36:00Z"),
        (951_782_400, "20000229T000000Z", "2000-02-29T00:00:00Z"),
        (951_868_799, "20000229T235959Z", "2000-02-29T23:59:59Z"),
        (4_107_542_400, "21000301T000000Z", "2100-03-01T00:00:00Z"),
        (
            1_798_761_599,
            "20261231T235959Z",
            "2026-12-31T23:59:59.123Z",
        ),
        (253_402_300_799, "99991231T235959Z", "9999-12-31T23:59:59Z"),
    ] {
        assert_eq!(basic_time(seconds).as_deref(), Some(basic));
        assert_eq!(parsed_time(text), Some(seconds * 1000), "{text}");
    }
    assert_eq!(basic_time(-1), None);
    assert_eq!(basic_time(253_402_300_800), None);
    for text in [
        "",
        "Z",
        "2015-08-30T12:36:00",
        "2015-13-01T00:00:00Z",
        "2015-08-30T24:00:00Z",
        "2015-08T1:1:1Z",
    ] {
        assert_eq!(parsed_time(text), None, "{text}");
    }
}

fn signature(request: &PresignedRequest<'_>, credentials: &AwsCredentials, now: i64) -> String {
    let query = request.query(credentials, now).unwrap();
    query.rsplit_once("X-Amz-Signature=").unwrap().1.to_owned()
}

// https://github.com/awslabs/aws-c-auth, tests/aws-signing-test-suite/v4, and the example of
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html.
#[test]
fn signatures_are_those_that_aws_publishes() {
    let suite = |query| PresignedRequest {
        host: "example.amazonaws.com",
        path: "/",
        query,
        region: "us-east-1",
        service: "service",
        lifetime_seconds: 3600,
        payload_hash: NO_PAYLOAD,
    };
    let credentials = AwsCredentials::new("AKIDEXAMPLE", SECRET);
    // get-vanilla-query-order-key-case
    assert_eq!(
        signature(
            &suite(&[("Param2", "value2"), ("Param1", "value1")]),
            &credentials,
            MOMENT
        ),
        "86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5"
    );
    // get-vanilla-query-unreserved
    let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let query = [(unreserved, unreserved)];
    assert_eq!(
        signature(&suite(&query), &credentials, MOMENT),
        "8e76a88a7433637b12778d5592799b29ad21ecd6cf6325051c21d86f0acda2bf"
    );
    // get-vanilla-with-session-token
    let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    assert_eq!(
        signature(&suite(&[]), &credentials.session_token(token), MOMENT),
        "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c"
    );
    let object = PresignedRequest {
        host: "examplebucket.s3.amazonaws.com",
        path: "/test.txt",
        query: &[],
        region: "us-east-1",
        service: "s3",
        lifetime_seconds: 86_400,
        payload_hash: "UNSIGNED-PAYLOAD",
    };
    let credentials = AwsCredentials::new(
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    );
    assert_eq!(
        signature(&object, &credentials, 1_369_353_600),
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
}

// aws-msk-iam-sasl-signer-python: test_generate_auth_token.
#[test]
fn a_token_is_a_presigned_url() {
    let credentials = AwsCredentials::new("AKIDEXAMPLE", SECRET).session_token("a/b+c=");
    let now = MOMENT * 1000 + 999;
    let made = token("eu-west-1", &credentials, now).unwrap();
    let url = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(made.value()).unwrap()).unwrap();
    let expected = "https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256\
                    &X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Feu-west-1%2Fkafka-cluster%2Faws4_request\
                    &X-Amz-Date=20150830T123600Z&X-Amz-Expires=900&X-Amz-Security-Token=a%2Fb%2Bc%3D\
                    &X-Amz-SignedHeaders=host&X-Amz-Signature=";
    let rest = url.strip_prefix(expected).unwrap();
    let (signature, agent) = rest
        .split_once("&User-Agent=kafka-producer-rust%2F")
        .unwrap();
    assert!(signature.len() == 64 && !agent.is_empty(), "{url}");
    assert_eq!(
        (made.start(), made.expiry()),
        (Some(MOMENT * 1000), MOMENT * 1000 + 900_000)
    );

    // The token expires no later than temporary credentials do.
    let short = credentials.clone().with_expiry(Some(now + 5));
    assert_eq!(token("eu-west-1", &short, now).unwrap().expiry(), now + 5);
    let expired = token("eu-west-1", &short, now + 5).unwrap_err();
    assert_eq!(expired.to_string(), "the AWS credentials have expired");
    assert!(!format!("{credentials:?}").contains("wJalr"));
}

/// Looks for credentials on a machine with these variables, whose metadata services respond to
/// these requests.
fn found(
    variables: &[(&str, &str)],
    responses: &[(&str, u16, &str)],
) -> Result<(String, String, Option<String>, Option<i64>), String> {
    let asked = RefCell::new(Vec::new());
    let chain = CredentialsChain {
        profile: None,
        environment: &|name| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some((*value).to_owned())
        },
        send: &|request: &HttpRequest| {
            let headers = request.headers.iter();
            let headers = headers.map(|(name, value)| format!(" {name}:{}", value.expose()));
            let text = format!(
                "{} {}{}",
                request.method,
                request.url,
                headers.collect::<String>()
            );
            asked.borrow_mut().push(text.clone());
            match responses.iter().find(|(known, ..)| *known == text) {
                Some((_, status, body)) => Ok(HttpResponse {
                    status: *status,
                    body: Zeroizing::new(body.as_bytes().to_vec()),
                }),
                None => Err(HttpFailure::permanent(format!("nothing for {text}"))),
            }
        },
        pause: &|_| panic!("nothing is retried"),
    };
    let found = chain.credentials()?;
    assert_eq!(asked.borrow().len(), responses.len());
    let own = str::to_owned;
    Ok((
        own(found.id()),
        own(found.secret()),
        found.token().map(own),
        found.expiry(),
    ))
}

fn expected(
    id: &str,
    token: Option<&str>,
    expiry: Option<i64>,
) -> Result<(String, String, Option<String>, Option<i64>), String> {
    Ok((
        id.to_owned(),
        SECRET.to_owned(),
        token.map(str::to_owned),
        expiry,
    ))
}

const NOWHERE: [(&str, &str); 2] = [
    ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials"),
    ("AWS_CONFIG_FILE", "/nonexistent/config"),
];

#[test]
fn the_environment_comes_first() {
    let mut variables = vec![
        ("AWS_ACCESS_KEY_ID", "ID"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_PROFILE", "none"),
    ];
    assert_eq!(found(&variables, &[]), expected("ID", None, None));
    variables.push(("AWS_SESSION_TOKEN", " token "));
    assert_eq!(found(&variables, &[]), expected("ID", Some("token"), None));
}

#[test]
fn a_profile_is_read_from_the_files() {
    let folder = std::env::temp_dir().join(format!("aws-{}", std::process::id()));
    std::fs::create_dir_all(folder.join(".aws")).unwrap();
    let credentials = format!(
        "# comment\n[default]\naws_access_key_id = ID\naws_secret_access_key={SECRET}\n\n[ other ]\nAWS_Access_Key_Id=OTHER\n\
         aws_secret_access_key = {SECRET}\naws_session_token = t=\n  nested = x\n[empty]\naws_access_key_id =\n\
         [noted] # mine\naws_access_key_id = N#;O ; not a comment before the blank\naws_secret_access_key = {SECRET}\t# rotated\n"
    );
    std::fs::write(folder.join(".aws/credentials"), credentials).unwrap();
    let config = format!(
        "[profile role]\nrole_arn = arn:aws:iam::1:role/x\n[profile of-config]\naws_access_key_id=C\naws_secret_access_key={SECRET}\n"
    );
    std::fs::write(folder.join(".aws/config"), config).unwrap();
    let home = folder.display().to_string();
    let with = |profile: &'static str| found(&[("HOME", &home), ("AWS_PROFILE", profile)], &[]);
    assert_eq!(with(""), expected("ID", None, None));
    assert_eq!(with("other"), expected("OTHER", Some("t="), None));
    assert_eq!(with("of-config"), expected("C", None, None));
    // AWS: a comment in the line of an entry begins after a blank.
    assert_eq!(with("noted"), expected("N#;O", None, None));
    for (profile, reason) in [
        ("role", "has role_arn, which is not supported"),
        ("empty", "there is no profile 'empty'"),
        ("absent", "there is no profile 'absent'"),
    ] {
        let text = with(profile).unwrap_err();
        assert!(text.contains(reason) && !text.contains(SECRET), "{text}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

const BODY: &str = r#"{"Code":"Success","AccessKeyId":"ID","SecretAccessKey":"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY","Token":"t","Expiration":"2015-08-30T12:36:00Z"}"#;

#[test]
fn a_file_that_cannot_be_read_does_not_end_the_search_for_a_role() {
    // Reading a directory fails even for root.
    let folder = std::env::temp_dir().join(format!("aws-unreadable-{}", std::process::id()));
    std::fs::create_dir_all(folder.join(".aws/credentials")).unwrap();
    let home = folder.display().to_string();
    let responses = [("GET http://169.254.170.2/v2/x", 200, BODY)];
    let container = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");
    let own = expected("ID", Some("t"), Some(MOMENT * 1000));
    assert_eq!(found(&[("HOME", &home), container], &responses), own);
    let named = [("HOME", home.as_str()), container, ("AWS_PROFILE", "mine")];
    assert!(
        found(&named, &responses)
            .unwrap_err()
            .contains("cannot read")
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_container_gets_its_own() {
    let own = expected("ID", Some("t"), Some(MOMENT * 1000));
    let mut variables = NOWHERE.to_vec();
    variables.push(("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"));
    assert_eq!(
        found(&variables, &[("GET http://169.254.170.2/v2/x", 200, BODY)]),
        own
    );
    let mut variables = NOWHERE.to_vec();
    variables.push(("AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret\n"));
    variables.push((
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "http://169.254.170.23/v1/credentials",
    ));
    let asked = "GET http://169.254.170.23/v1/credentials Authorization:secret";
    assert_eq!(found(&variables, &[(asked, 200, BODY)]), own);
    for (status, body, reason) in [
        (403, "", "responded with 403"),
        (200, "nonsense", "sent no credentials"),
        (
            200,
            r#"{"Code":"Failed","AccessKeyId":"ID","SecretAccessKey":"x"}"#,
            "sent no credentials",
        ),
        (
            200,
            r#"{"AccessKeyId":"ID","SecretAccessKey":"x","Expiration":"soon"}"#,
            "sent no credentials",
        ),
    ] {
        let text = found(&variables, &[(asked, status, body)]).unwrap_err();
        assert!(text.contains(reason), "{text}");
    }
    // The token is sent to no other machine.
    for address in [
        "http://evil.example/",
        "http://localhost.evil.example/",
        "http://169.254.170.2.evil.example/",
        "http://localhost@evil.example/",
        "http://localhost:1@evil.example/",
        "https://evil.example/",
        "file:///etc/passwd",
    ] {
        let last = variables.len() - 1;
        variables[last].1 = address;
        let text = found(&variables, &[]).unwrap_err();
        assert!(text.contains("not this machine's"), "{text}");
    }
}

// AWS SDKs: the standard retry mode.
#[test]
fn a_metadata_service_is_asked_three_times() {
    let environment = |name: &str| {
        let variables = [
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"),
            NOWHERE[0],
            NOWHERE[1],
        ];
        let (_, value) = variables.into_iter().find(|(known, _)| *known == name)?;
        Some(value.to_owned())
    };
    let lost = || {
        Err(HttpFailure {
            reason: "timed out".to_owned(),
            is_retriable: true,
        })
    };
    let response = |status: u16| {
        Ok(HttpResponse {
            status,
            body: Zeroizing::new(BODY.as_bytes().to_vec()),
        })
    };
    for (outcomes, expected, pauses) in [
        (
            vec![lost(), response(500), response(200)],
            Ok("ID"),
            vec![100, 200],
        ),
        (vec![response(429), response(200)], Ok("ID"), vec![100]),
        (
            vec![response(503), lost(), lost()],
            Err("timed out"),
            vec![100, 200],
        ),
        (vec![response(403)], Err("responded with 403"), vec![]),
        (
            vec![Err(HttpFailure::permanent("malformed"))],
            Err("malformed"),
            vec![],
        ),
    ] {
        let outcomes = RefCell::new(outcomes.into_iter());
        let paused = RefCell::new(Vec::new());
        let chain = CredentialsChain {
            profile: None,
            environment: &environment,
            send: &|_| outcomes.borrow_mut().next().unwrap(),
            pause: &|pause| paused.borrow_mut().push(pause.as_millis()),
        };
        match (chain.credentials(), expected) {
            (Ok(found), Ok(id)) => assert_eq!(found.id(), id),
            (Err(text), Err(reason)) => assert!(text.ends_with(reason), "{text}"),
            (found, _) => panic!("{found:?}, and not {expected:?}"),
        }
        assert_eq!(
            (paused.take(), outcomes.borrow_mut().next().is_none()),
            (pauses, true)
        );
    }
}

#[test]
fn the_address_of_an_instances_service_is_checked() {
    for address in [
        "https://169.254.169.254",
        "HTTPS://h",
        "169.254.169.254",
        "file:///x",
    ] {
        let variables = [
            NOWHERE[0],
            NOWHERE[1],
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", address),
        ];
        let text = found(&variables, &[]).unwrap_err();
        let reason = "AWS_EC2_METADATA_SERVICE_ENDPOINT does not begin with http://";
        assert!(text.ends_with(reason), "{text}");
    }
}

#[test]
fn any_answer_and_any_profile_is_read_or_refused() {
    let expected = expected("ID", Some("t"), Some(MOMENT * 1000));
    let responses = [("GET http://169.254.170.2/v2/x", 200, BODY)];
    let container = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");
    assert_eq!(
        found(&[NOWHERE[0], NOWHERE[1], container], &responses),
        expected
    );
    mutated(&[BODY], 5_000, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        _ = credentials_chain::credentials_of(&text);
    });
    mutated(
        &["2015-08-30T12:36:00Z", "2026-12-31T23:59:59.123Z"],
        5_000,
        |bytes| {
            _ = parsed_time(&String::from_utf8_lossy(bytes));
        },
    );
    let profile = "[profile a]\naws_access_key_id = ID\n# c\n nested = x\n[ default ]\nAWS_Session_Token=t=\n";
    let headings = ["profile a".to_owned(), "default".to_owned()];
    assert_eq!(credentials_chain::section(profile, &headings).len(), 2);
    mutated(&[profile], 5_000, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let entries = credentials_chain::section(&text, &headings);
        assert!(entries.len() <= text.lines().count());
    });
}

#[test]
fn an_instance_is_asked_last_and_by_the_second_version_alone() {
    let mut variables = NOWHERE.to_vec();
    let base = "http://169.254.169.254/latest";
    let put = format!("PUT {base}/api/token X-aws-ec2-metadata-token-ttl-seconds:21600");
    let list =
        format!("GET {base}/meta-data/iam/security-credentials/ X-aws-ec2-metadata-token:session");
    let role = format!(
        "GET {base}/meta-data/iam/security-credentials/my-role X-aws-ec2-metadata-token:session"
    );
    let responses = [
        (&*put, 200, "session"),
        (&*list, 200, "my-role\n"),
        (&*role, 200, BODY),
    ];
    let own = expected("ID", Some("t"), Some(MOMENT * 1000));
    assert_eq!(found(&variables, &responses), own);
    let text = found(&variables, &[(&*put, 200, "session"), (&*list, 200, "")]).unwrap_err();
    assert_eq!(text, "the instance has no role");
    let text = found(&variables, &[]).unwrap_err();
    assert!(
        text.starts_with("there are none in the environment, in a profile or of a container, and "),
        "{text}"
    );
    variables.push(("AWS_EC2_METADATA_DISABLED", "TRUE"));
    let text = found(&variables, &[]).unwrap_err();
    assert!(text.ends_with("AWS_EC2_METADATA_DISABLED is set"), "{text}");
    variables.push(("AWS_WEB_IDENTITY_TOKEN_FILE", "/x"));
    let text = found(&variables, &[]).unwrap_err();
    assert!(
        text.contains("is not supported: use EKS pod identity"),
        "{text}"
    );
}
