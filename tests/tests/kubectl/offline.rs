//! What needs no server: JSONPath, Go templates, columns and configuration, on the same files in both programs.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::normal;

const OBJECT: &str = r#"
apiVersion: example.com/v1
kind: Thing
metadata: {name: thing, labels: {app.kubernetes.io/name: x, tier: back}}
spec:
  count: 3
  ratio: 0.25
  big: 12345678901
  on: true
  off: false
  nothing: null
  empty: ""
  list: [a, b, c]
  numbers: [5, 1, 3]
  nested: [[1, 2], [3]]
  text: "two\nlines \"quoted\" <tag> & more"
  items:
  - {name: one, weight: 1, tags: [x, y], on: true}
  - {name: two, weight: 2.5, tags: []}
  - {name: three, weight: 30, tags: [z], note: "it's"}
"#;

const PATHS: &str = r#"
{.metadata.name}
{.kind}/{.metadata.name}
plain text
{.spec}
{.spec.count}{.spec.ratio}{.spec.big}{.spec.on}{.spec.off}
[{.spec.nothing}][{.spec.empty}]
{.spec.list}
{.spec.list[*]}
{.spec.list[0]}{.spec.list[-1]}{.spec.list[1:]}{.spec.list[:2]}{.spec.list[0:3:2]}
{.spec.list[7]}
{.spec.list[-7]}
{.spec.numbers[0,2]}
{.spec.nested[*][*]}
{.spec.nested[0]}
{.spec.text}
{.spec.items[*].name}
{.spec.items[*]['name','weight']}
{.spec.items[?(@.weight>2)].name}
{.spec.items[?(@.weight>=2.5)].name}
{.spec.items[?(@.weight<2)].name}
{.spec.items[?(@.name=="two")].weight}
{.spec.items[?(@.name!="two")].weight}
{.spec.items[?(@.on)].name}
{.spec.items[?(@.on==true)].name}
{.spec.items[?(@.note)].note}
{.spec.items[?(@.tags[0]=="z")].name}
{range .spec.items[*]}{.name}={.weight}{"\n"}{end}
{range .spec.items[*]}{range .tags[*]}{@}{","}{end}{";"}{end}
{range .spec.list[*]}<{@}>{end}
{range .spec.none[*]}x{end}
{..name}
{..tags[*]}
{.metadata.labels.app\.kubernetes\.io/name}
{.metadata.labels['tier']}
{.metadata.labels['app\.kubernetes\.io/name']}
{.nope}
{.spec.nope.deeper}
{['metadata']['name']}
{$.metadata.name}
{"quoted \"text\"\t|"}
{'single'}
{.spec.*}
{@.kind}
{.spec.items[0].name}{.spec.items[0].nope}
metadata.name
.metadata.name
{.spec.list
{.spec.list[a]}
{.spec.items[?(@.weight>)].name}
{range .spec.list[*]}{@}
{end}
{.spec.list[}
{1}
{.spec.items.name}
"#;

const TEMPLATES: &str = r#"
{{.metadata.name}}
{{.spec}}
{{.spec.count}} {{.spec.ratio}} {{.spec.big}} {{.spec.on}} {{.spec.nothing}} [{{.spec.empty}}]
{{range .spec.list}}{{.}} {{end}}
{{range $i, $e := .spec.list}}{{$i}}={{$e}};{{end}}
{{range .spec.none}}x{{else}}none{{end}}
{{if .spec.on}}yes{{else}}no{{end}}{{if .spec.off}}yes{{else}}no{{end}}{{if .spec.empty}}yes{{else}}no{{end}}
{{if and .spec.on (gt .spec.count 2.0)}}both{{end}}
{{if or .spec.off .spec.nothing}}x{{else}}neither{{end}}
{{with .metadata}}{{.name}}{{end}}
{{len .spec.list}} {{len .metadata.name}} {{index .spec.list 1}}
{{index .metadata.labels "app.kubernetes.io/name"}}
{{printf "%s-%v-%5.2f|%-8s|%08.3f" .kind .spec.on .spec.ratio .metadata.name .spec.count}}
{{printf "%q %T %d" .kind .spec.count 7}}
{{.spec.text | html}} {{.spec.text | js}} {{"a b&c" | urlquery}}
{{print "a" 1 2 "b"}}{{println "x" 3}}
{{- /* a remark */ -}} trimmed {{- " x " -}} trimmed
{{$x := .kind}}{{$x}}{{$x = "y"}}{{$x}}
{{define "t"}}<{{.}}>{{end}}{{template "t" .kind}}
{{block "b" .}}{{.kind}}{{end}}
{{eq .kind "Thing" "Other"}} {{ne .spec.count 3.0}} {{lt 1 2}} {{le 2 2}} {{ge 1 2}} {{not true}}
{{slice .metadata.name 1 3}}
{{range .spec.items}}{{.name}}:{{range .tags}}{{.}}{{end}}{{if .note}}({{.note}}){{end}} {{end}}
{{range .spec.list}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}{{range .spec.list}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}
{{base64decode "aGVsbG8="}}
{{exists .metadata "name"}} {{exists .metadata "nope"}}
{{.nope}} {{.spec.nope}}
{{.metadata.nope.deeper}}
{{.metadata.name
{{nope .}}
{{end}}
{{if}}
{{.spec.list.x}}
{{index .spec.list 9}}
{{template "missing"}}
"#;

const CONFIG: &str = "
config current-context
config view
config view -o json
config view -o jsonpath={.contexts[*].name}
config view --minify
config view --minify --flatten
config view --raw
config get-contexts one
config get-contexts nope
config get-contexts -o name
config get-contexts -o yaml
config set-context two --namespace=n --user=u
config set-context --current --namespace=m
config set-context
config use-context two
config use-context nope
config set-cluster c --server=https://x:1 --insecure-skip-tls-verify=true
config set-cluster c --certificate-authority=nope --embed-certs
config set-credentials u --token=t --username=x
config set-credentials u --exec-command=c --exec-api-version=v --exec-arg=a --exec-env=B=c
config set users.u.token zzz
config set nope.x y
config set current-context two
config unset users.u.token
config unset nope
config unset contexts.one
config delete-context two
config delete-context nope
config delete-cluster c
config delete-user nobody
config rename-context one 1
config rename-context nope x
config view
";

const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: one
clusters:
- {name: c1, cluster: {server: 'https://127.0.0.1:1'}}
contexts:
- {name: one, context: {cluster: c1, user: u1}}
users:
- {name: u1, user: {token: abc}}
";

fn ask(ours: bool, words: &[String], dir: &Path) -> (String, String, Option<i32>) {
    let mut command = match ours {
        true => Command::new(e2e::binary()),
        false => Command::new(e2e::kubectl()),
    };
    if ours {
        command.arg("kubectl");
    }
    command.args(words).current_dir(dir).stdin(Stdio::null());
    command.env("HOME", dir).env("KUBECONFIG", dir.join("kubeconfig")).env("NO_COLOR", "1");
    let output = command.output().expect("run kubectl");
    let dir = dir.display().to_string();
    let text = |bytes: &[u8]| {
        // Objects that failed to print are shown as Go has them, and here as JSON.
        let text = String::from_utf8_lossy(bytes);
        normal::text(text.split("object given to jsonpath").next().unwrap_or_default(), &dir)
    };
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// Both on each line, one after the other in a directory for each; what differs.
fn differences(lines: &[Vec<String>]) -> Vec<String> {
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    for dir in &dirs {
        std::fs::write(dir.path().join("thing.yaml"), OBJECT).expect("write");
        std::fs::write(dir.path().join("kubeconfig"), KUBECONFIG).expect("write");
    }
    let mut differ = Vec::new();
    for line in lines {
        let (stock, ours) = std::thread::scope(|scope| {
            let stock = scope.spawn(|| ask(false, line, dirs[0].path()));
            let ours = ask(true, line, dirs[1].path());
            (stock.join().expect("stock"), ours)
        });
        if stock != ours {
            differ.push(format!("{}\nstock {stock:?}\nours  {ours:?}\n", line.join(" ")));
        }
    }
    differ
}

#[track_caller]
fn check(lines: &[Vec<String>]) {
    let differ = differences(lines);
    assert!(differ.is_empty(), "{} of {} differ:\n{}", differ.len(), lines.len(), differ.join("\n"));
}

/// Lines that print the object in a format.
fn printing(table: &str, format: &str) -> Vec<Vec<String>> {
    let words = |text: &str| {
        let fixed = ["label", "--local", "-f", "thing.yaml", "a=b", "-o"];
        fixed.into_iter().map(str::to_owned).chain([format!("{format}={text}")]).collect()
    };
    table.trim().lines().map(words).collect()
}

#[test]
#[ignore = "rare paths differ: docs/kubectl.md"]
fn jsonpath_offline() {
    check(&printing(PATHS, "jsonpath"));
}

#[test]
#[ignore = "keys that YAML 1.1 takes for booleans differ: docs/kubectl.md"]
fn templates_offline() {
    check(&printing(TEMPLATES, "go-template"));
}

#[test]
fn configuration_offline() {
    let lines = CONFIG.trim().lines().map(crate::plan::words).collect::<Vec<_>>();
    check(&lines);
}
