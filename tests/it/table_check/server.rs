//! `GET /api/2.1/unity-catalog/tables/{c.s.t}` of the server, and who is answered.

use insta::assert_snapshot;
use serde_json::{Value, json};
use zerobus::schema::{Column, ColumnType as T};

use super::{Shop, TABLE, array, column, hinted};

impl Shop {
    fn get(&self, name: &str, token: &str) -> (u16, Value) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/api/2.1/unity-catalog/tables/{name}", self.url());
        self.runtime.block_on(async {
            let mut request = http.get(url);
            if !token.is_empty() {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap())
        })
    }

    fn token(&self, table: &str) -> String {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let parts: Vec<&str> = table.split('.').collect();
        let detail = |object_type: &str, privileges: Value, name: String| {
            json!({"type": "unity_catalog_privileges", "privileges": privileges,
                "object_type": object_type, "object_full_path": name})
        };
        let mut of_table = detail("TABLE", json!(["SELECT", "MODIFY"]), table.to_owned());
        of_table["operations"] = json!(["zerobuswrite"]);
        let details = json!([
            detail("CATALOG", json!(["USE CATALOG"]), parts[0].to_owned()),
            detail("SCHEMA", json!(["USE SCHEMA"]), parts[..2].join(".")),
            of_table,
        ]);
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "all-apis"),
            (
                "resource",
                "api://databricks/workspaces/local/zerobusDirectWriteApi",
            ),
            ("authorization_details", &details.to_string()),
        ];
        let request = http
            .post(format!("{}/oidc/v1/token", self.url()))
            .basic_auth("id", Some("secret"))
            .form(&form);
        let answer: Value = self
            .runtime
            .block_on(async { request.send().await.unwrap().json().await.unwrap() });
        answer["access_token"].as_str().unwrap().to_owned()
    }
}

#[test]
fn the_server_describes_a_table_as_unity_catalog_does() {
    let mut columns = hinted();
    columns.truncate(8);
    columns.push(Column {
        name: "n".to_owned(),
        ty: T::Struct(vec![
            Column::new("a", T::Int, false),
            column("b", array(T::Varchar(2))),
        ]),
        nullable: false,
        comment: Some("of \"use\"".to_owned()),
    });
    let shop = Shop::new(&columns);
    let (status, table) = shop.get(TABLE, &shop.token(TABLE));
    assert_eq!(status, 200);
    for (key, value) in [
        ("name", "events"),
        ("catalog_name", "main"),
        ("schema_name", "default"),
        ("full_name", TABLE),
        ("table_type", "MANAGED"),
        ("data_source_format", "DELTA"),
    ] {
        assert_eq!(table[key], value, "{table}");
    }
    let log = "wh/main/default/events/_delta_log/00000000000000000000.json";
    let log = std::fs::read_to_string(shop.rig.path().join(log)).unwrap();
    let id = table["table_id"].as_str().unwrap();
    assert!(!id.is_empty() && log.contains(id), "{id}");
    let location = table["storage_location"].as_str().unwrap();
    assert!(
        location.starts_with("file:///") && location.contains("/wh/main/default/events"),
        "{location}"
    );
    let types: Vec<String> = table["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            let (name, text) = (c["type_name"].as_str().unwrap(), &c["type_text"]);
            let json: Value = serde_json::from_str(c["type_json"].as_str().unwrap()).unwrap();
            assert_eq!(
                (&json["name"], &json["nullable"]),
                (&c["name"], &c["nullable"])
            );
            let digits = format!("{},{}", c["type_precision"], c["type_scale"]);
            format!("{} {name} {text} {digits} {}", c["position"], json["type"])
        })
        .collect();
    assert_snapshot!(types.join("\n"), @r#"
    0 TIMESTAMP "timestamp" 0,0 "timestamp"
    1 TIMESTAMP_NTZ "timestamp_ntz" 0,0 "timestamp_ntz"
    2 DATE "date" 0,0 "date"
    3 SHORT "smallint" 0,0 "short"
    4 BYTE "tinyint" 0,0 "byte"
    5 DECIMAL "decimal(10,2)" 10,2 "decimal(10,2)"
    6 STRING "varchar(3)" 0,0 "string"
    7 VARIANT "variant" 0,0 "variant"
    8 STRUCT "struct<a:int,b:array<varchar(2)>>" 0,0 {"type":"struct","fields":[{"name":"a","type":"integer","nullable":false,"metadata":{}},{"name":"b","type":{"type":"array","elementType":"string","containsNull":true},"nullable":true,"metadata":{}}]}
    "#);
    let last = &table["columns"][8];
    assert_eq!(last["comment"], "of \"use\"");
    let json: Value = serde_json::from_str(last["type_json"].as_str().unwrap()).unwrap();
    assert_eq!(
        json["metadata"],
        json!({"comment": "of \"use\"",
            "__CHAR_VARCHAR_TYPE_STRING": "struct<a:int,b:array<varchar(2)>>"})
    );
}

#[test]
fn the_server_tells_who_may_not_see_a_table() {
    let shop = Shop::new(&[column("a", T::Int)]);
    let token = shop.token(TABLE);
    let other = shop.token("main.default.other");
    for (name, token, status, code) in [
        (TABLE, "", 401, "UNAUTHENTICATED"),
        (TABLE, "made-up", 401, "UNAUTHENTICATED"),
        (TABLE, &*other, 403, "PERMISSION_DENIED"),
        ("main.default.other", &*other, 404, "TABLE_DOES_NOT_EXIST"),
    ] {
        let (is, error) = shop.get(name, token);
        assert_eq!((is, &error["error_code"]), (status, &json!(code)), "{name}");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(shop.get(TABLE, &token).0, 200);
}
