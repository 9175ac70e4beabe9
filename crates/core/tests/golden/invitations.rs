//! Invitations: URLs, file names, a recorded session.

use tinmesh_core::crypto::base64;
use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::invite::url::InviteUrl;
use tinmesh_core::invite::{file_name, key_hash};

use crate::vectors::{array, hex, list, text, vectors};

#[test]
fn urls_and_file_names_are_those_of_tinc() {
    for case in list(&vectors!("invitation.json")["invitations"]) {
        let key = SecretKey::from_seed(&array(&case["key_seed"])).public();
        let cookie = array(&case["cookie"]);
        let (host, port) = text(&case["address"]).rsplit_once(':').unwrap();
        assert_eq!(key.to_base64(), text(&case["key_base64"]));

        let url = InviteUrl {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.parse().unwrap(),
            key_hash: key_hash(&key),
            cookie,
        };

        assert_eq!(url.key_hash.to_vec(), hex(&case["key_hash"]));
        assert_eq!(base64::encode_url(&url.key_hash), text(&case["key_hash_text"]));
        assert_eq!(base64::encode_url(&cookie), text(&case["cookie_text"]));
        assert_eq!(url.to_string(), text(&case["url"]));
        assert_eq!(InviteUrl::parse(text(&case["url"])), Ok(url));
        assert_eq!(file_name(&cookie, &key), text(&case["file_name"]));
    }
}
