//! A host whose boot service of ipvsadm is on.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::director::{ipvsadm, look, restore};
use crate::kept::{RULES, UNIT, enter_host_of_ipvsadm, everything, run, sites, web};

#[test]
fn where_the_boot_service_of_ipvsadm_is_on_its_file_is_used() {
    enter_host_of_ipvsadm();
    let empty = everything();
    fs::write(RULES, "# mine\n-A -f 9 -s rr\n-a -f 9 -r 10.0.0.19:0 -g\n").unwrap();
    let first = run(&sites());
    assert_eq!(first["persist"], json!({"manager": "ipvsadm", "file": RULES}), "{first}");
    let text = fs::read_to_string(RULES).unwrap();
    assert!(text.starts_with("# mine\n-A -f 9 -s rr\n-a -f 9 -r 10.0.0.19:0 -g\n"), "{text}");
    assert!(!Path::new(UNIT).exists());
    assert_eq!(run(&sites())["changes"], json!([]));
    // What the boot service does (Debian's /etc/init.d/ipvsadm, load).
    ipvsadm("-A -f 9 -s rr");
    ipvsadm("-a -f 9 -r 10.0.0.19:0 -g");
    let table = look();
    ipvsadm("-C");
    restore(
        &text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    );
    assert_eq!(look(), table);
    assert_eq!(
        run(&sites())["changes"],
        json!([]),
        "flags and tunnels too, which ipvsadm does not show all of"
    );
    run(
        &json!({"fwmark": 9, "real_servers": [{"address": "10.0.0.19", "state": "drained"}], "persist": "ipvsadm"}),
    );
    assert!(
        fs::read_to_string(RULES).unwrap().contains("-a -f 9 -r 10.0.0.19:0 -g\n"),
        "its weight is another time's"
    );
    let mut gone = sites();
    gone["state"] = json!("absent");
    run(&gone);
    run(&json!({"fwmark": 9, "state": "absent", "persist": "auto"}));
    assert_eq!(fs::read_to_string(RULES).unwrap(), "# mine\n");
    fs::write(RULES, "# emtpy rules file for ipvsadm\n").unwrap();
    assert_eq!(everything(), empty);
    fs::write(RULES, "-A -t www:80\n").unwrap();
    let said = run(&web(json!({})))["msg"].clone();
    assert!(said.as_str().unwrap().starts_with("cannot use /etc/ipvsadm.rules: "), "{said}");
    let said = run(&web(json!({"persist": "systemd"})))["msg"].clone();
    assert!(
        said.as_str().unwrap().contains("the boot service of ipvsadm is on and would take them away"),
        "{said}"
    );
}
