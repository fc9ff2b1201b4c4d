use expect_test::{Expect, expect};
use serde_json::json;

use super::{Failed, Template};

/// A template a line; what it prints (before it fails), or why not.
fn check(templates: &str, expected: Expect) {
    check_with(templates, true, expected);
}

fn check_with(templates: &str, allow_missing: bool, expected: Expect) {
    let mut out = String::new();
    for template in templates.lines().map(str::trim).filter(|t| !t.is_empty()) {
        out.push_str(&format!("{template}\n  => {}\n", said(template, allow_missing)));
    }
    expected.assert_eq(&out);
}

fn said(template: &str, allow_missing: bool) -> String {
    let object = json!({
        "name": "x",
        "spec": {"ports": [{"port": 80, "name": "a"}, {"port": 443}], "on": true, "half": 0.5, "many": 3000000.0, "tiny": 2e-7, "huge": 1e19},
        "labels": {"b": "2", "a": "1"},
        "null": null,
        "list": [1, "s", null, 2.5],
        "key": "aGk=",
    });
    match Template::parse(template).map(|t| t.allow_missing(allow_missing).execute(&object)) {
        Ok(Ok(text)) => text,
        Ok(Err(Failed { printed, why })) => format!("{printed}! {why}"),
        Err(e) => format!("! parse: {e}"),
    }
}

#[test]
fn values() {
    check(
        r#"
        {{.}}
        {{.name}} {{.none}} {{.none.more}} {{.null}} {{.list}} {{.spec.half}} {{.spec.many}} {{.spec.tiny}} {{.spec.huge}} {{print .none .null}}
        {{1}} {{-2}} {{0x10}} {{010}} {{1_000}} {{'a'}} {{'\n'}} {{1.50}} {{1e6}} {{1e5}} {{0.00001}} {{-0.0}} {{true}}
        {{"\x41\u00e9\101\t|"}} {{`a\n`}}
        {{.null.x}}
        {{.name.x}}
        {{with .name}}{{.x}}{{end}}
        {{(1).x}}
        {{(index .spec.ports 0).port}} {{(.spec).on}} {{$.name}}
        {{9223372036854775808}}
        {{.name 1}}
        {{1 2}}
        {{(1) 2}}
        {{nil}}
        {{.name | .x}}
        "#,
        expect![[r#"
            {{.}}
              => map[key:aGk= labels:map[a:1 b:2] list:[1 s <nil> 2.5] name:x null:<nil> spec:map[half:0.5 huge:1e+19 many:3000000 on:true ports:[map[name:a port:80] map[port:443]] tiny:2e-07]]
            {{.name}} {{.none}} {{.none.more}} {{.null}} {{.list}} {{.spec.half}} {{.spec.many}} {{.spec.tiny}} {{.spec.huge}} {{print .none .null}}
              => x <no value> <no value> <no value> [1 s <nil> 2.5] 0.5 3000000 2e-07 1e+19 <nil> <nil>
            {{1}} {{-2}} {{0x10}} {{010}} {{1_000}} {{'a'}} {{'\n'}} {{1.50}} {{1e6}} {{1e5}} {{0.00001}} {{-0.0}} {{true}}
              => 1 -2 16 8 1000 97 10 1.5 1e+06 100000 1e-05 -0 true
            {{"\x41\u00e9\101\t|"}} {{`a\n`}}
              => AéA	| a\n
            {{.null.x}}
              => ! template: output:1:7: executing "output" at <.null.x>: nil pointer evaluating interface {}.x
            {{.name.x}}
              => ! template: output:1:7: executing "output" at <.name.x>: can't evaluate field x in type interface {}
            {{with .name}}{{.x}}{{end}}
              => ! template: output:1:16: executing "output" at <.x>: can't evaluate field x in type string
            {{(1).x}}
              => ! template: output:1:3: executing "output" at <1>: can't evaluate field x in type int
            {{(index .spec.ports 0).port}} {{(.spec).on}} {{$.name}}
              => 80 true x
            {{9223372036854775808}}
              => ! template: output:1:2: executing "output" at <9223372036854775808>: 9223372036854775808 overflows int
            {{.name 1}}
              => ! template: output:1:2: executing "output" at <.name>: name is not a method but has arguments
            {{1 2}}
              => ! template: output:1:2: executing "output" at <1>: can't give argument to non-function 1
            {{(1) 2}}
              => ! template: output:1:2: executing "output" at <(1) 2>: can't give argument to non-function 1
            {{nil}}
              => ! template: output:1:2: executing "output" at <nil>: nil is not a command
            {{.name | .x}}
              => ! template: output:1:10: executing "output" at <.x>: x is not a method but has arguments
        "#]],
    );
    check_with(
        "{{.name}} {{.none.more}}\n{{.none}}\n{{index .labels \"z\"}}",
        false,
        expect![[r#"
        {{.name}} {{.none.more}}
          => x ! template: output:1:17: executing "output" at <.none.more>: map has no entry for key "none"
        {{.none}}
          => ! template: output:1:2: executing "output" at <.none>: map has no entry for key "none"
        {{index .labels "z"}}
          => <no value>
    "#]],
    );
}

#[test]
fn control() {
    check(
        r#"
        {{if .none}}1{{else if .spec}}2{{else}}3{{end}}{{if and .name (eq .name "x")}}4{{end}}
        {{with .none}}1{{else with .name}}{{.}}{{else}}3{{end}}{{with $y := .name}}{{$y}}{{end}}
        {{range .spec.ports}}{{.port}} {{end}}{{range $i, $p := .spec.ports}}{{$i}}={{$p.port}} {{end}}
        {{range $k, $v := .labels}}{{$k}}={{$v}} {{end}}{{range .none}}1{{else}}none{{end}}{{range 3}}{{.}}{{end}}
        {{range 5}}{{if eq . 1}}{{continue}}{{end}}{{if eq . 3}}{{break}}{{end}}{{.}}{{end}}
        {{range .name}}{{end}}
        {{range $i, $e := 5}}{{end}}
        {{range .list}}[{{.x}}]{{end}}
        {{$x := 1}}{{$x}}{{$x = 2}}{{$x}}{{if true}}{{$x = 3}}{{$x := 4}}{{$x}}{{end}}{{$x}}
        {{$y = 1}}
        {{define "t"}}<{{.}}>{{end}}{{template "t" .name}}{{template "t"}}{{block "b" .spec}}{{.on}}{{end}}
        {{define "r"}}{{.x}}{{end}}{{template "r" 1}}
        a{{template "none" .name}}
        a  {{- 1 -}}  b {{- /* c */ -}} d {{/* e */}}
        {{print (print 1 2) 3 | printf "%v-%v" 1}}
        "#,
        expect![[r#"
            {{if .none}}1{{else if .spec}}2{{else}}3{{end}}{{if and .name (eq .name "x")}}4{{end}}
              => 24
            {{with .none}}1{{else with .name}}{{.}}{{else}}3{{end}}{{with $y := .name}}{{$y}}{{end}}
              => xx
            {{range .spec.ports}}{{.port}} {{end}}{{range $i, $p := .spec.ports}}{{$i}}={{$p.port}} {{end}}
              => 80 443 0=80 1=443 
            {{range $k, $v := .labels}}{{$k}}={{$v}} {{end}}{{range .none}}1{{else}}none{{end}}{{range 3}}{{.}}{{end}}
              => a=1 b=2 none012
            {{range 5}}{{if eq . 1}}{{continue}}{{end}}{{if eq . 3}}{{break}}{{end}}{{.}}{{end}}
              => 02
            {{range .name}}{{end}}
              => ! template: output:1:8: executing "output" at <.name>: range can't iterate over x
            {{range $i, $e := 5}}{{end}}
              => ! template: output:1:18: executing "output" at <5>: can't use 5 to iterate over more than one variable
            {{range .list}}[{{.x}}]{{end}}
              => [! template: output:1:18: executing "output" at <.x>: can't evaluate field x in type interface {}
            {{$x := 1}}{{$x}}{{$x = 2}}{{$x}}{{if true}}{{$x = 3}}{{$x := 4}}{{$x}}{{end}}{{$x}}
              => 1243
            {{$y = 1}}
              => ! template: output:1:7: executing "output" at <1>: undefined variable: $y
            {{define "t"}}<{{.}}>{{end}}{{template "t" .name}}{{template "t"}}{{block "b" .spec}}{{.on}}{{end}}
              => <x><<no value>>true
            {{define "r"}}{{.x}}{{end}}{{template "r" 1}}
              => ! template: output:1:16: executing "r" at <.x>: can't evaluate field x in type int
            a{{template "none" .name}}
              => a! template: output:1:12: executing "output" at <{{template "none" .name}}>: template "none" not defined
            a  {{- 1 -}}  b {{- /* c */ -}} d {{/* e */}}
              => a1bd 
            {{print (print 1 2) 3 | printf "%v-%v" 1}}
              => 1-1 23
        "#]],
    );
}

#[test]
fn functions() {
    check(
        r#"
        {{and 1 0 2}} {{or 0 "" "z"}} {{or 1 (index .none 1)}} {{not .none}} {{and .none 1}}
        {{eq .name "a" "x"}} {{eq 1 2 3}} {{eq .none nil}} {{eq .none "x"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1 2}}
        {{eq 1 1.0}}
        {{eq .labels .labels}}
        {{eq .list .labels}}
        {{lt .none 1}}
        {{lt true false}}
        {{eq 1}}
        {{len "é"}} {{len .labels}} {{len .list}}
        {{len .none}}
        {{len .null}}
        {{len 3}}
        {{index .spec "ports" 0 "port"}} {{index .labels "z"}} {{index "abc" 0}}
        {{index .list 4}}
        {{index .list 9}}
        {{index .list "a"}}
        {{index .labels 1}}
        {{index .labels "z" "y"}}
        {{slice "hello" 1 3}} {{slice "abc"}} {{slice .list 0 2}}
        {{slice "abc" 2 1}}
        {{slice "abc" 1 9}}
        {{exists .spec "ports" 0}} {{exists .spec "ports" 2}} {{exists .none}} {{exists .labels 1}} {{exists .null}} {{exists .none 1}}
        {{.key | base64decode}}
        {{base64decode "YW I="}}
        {{base64decode "YWI"}}
        {{base64decode "YWI=x"}}
        {{base64decode .spec}}
        {{base64decode .none}}
        {{printf 1}}
        {{.spec | printf}}
        {{print 1 2 "a" 3}} {{println "a" 1}}
        {{html "<a>" .none}} {{js "it's <b>=\x00\u2028"}} {{urlquery "é a&c" 1 2}}
        {{call .list}}
        {{1 | call}}
        {{call nil}}
        {{not 1 2}}
        {{printf}}
        {{base64decode "/w=="}}
        "#,
        expect![[r#"
            {{and 1 0 2}} {{or 0 "" "z"}} {{or 1 (index .none 1)}} {{not .none}} {{and .none 1}}
              => 0 z 1 true <no value>
            {{eq .name "a" "x"}} {{eq 1 2 3}} {{eq .none nil}} {{eq .none "x"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1 2}}
              => true false true false true true true true false
            {{eq 1 1.0}}
              => ! template: output:1:2: executing "output" at <eq 1 1.0>: error calling eq: incompatible types for comparison: int and float64
            {{eq .labels .labels}}
              => ! template: output:1:2: executing "output" at <eq .labels .labels>: error calling eq: non-comparable type map[a:1 b:2]: map[string]interface {}
            {{eq .list .labels}}
              => ! template: output:1:2: executing "output" at <eq .list .labels>: error calling eq: non-comparable types [%!s(int64=1) s <nil> %!s(float64=2.5)]: []interface {}, map[string]interface {}: map[a:1 b:2]
            {{lt .none 1}}
              => ! template: output:1:2: executing "output" at <lt .none 1>: error calling lt: invalid type for comparison
            {{lt true false}}
              => ! template: output:1:2: executing "output" at <lt true false>: error calling lt: invalid type for comparison
            {{eq 1}}
              => ! template: output:1:2: executing "output" at <eq 1>: error calling eq: missing argument for comparison
            {{len "é"}} {{len .labels}} {{len .list}}
              => 2 2 4
            {{len .none}}
              => ! template: output:1:2: executing "output" at <len .none>: error calling len: reflect: call of reflect.Value.Type on zero Value
            {{len .null}}
              => ! template: output:1:2: executing "output" at <len .null>: error calling len: len of nil pointer
            {{len 3}}
              => ! template: output:1:2: executing "output" at <len 3>: error calling len: len of type int
            {{index .spec "ports" 0 "port"}} {{index .labels "z"}} {{index "abc" 0}}
              => 80 <no value> 97
            {{index .list 4}}
              => ! template: output:1:2: executing "output" at <index .list 4>: error calling index: reflect: slice index out of range
            {{index .list 9}}
              => ! template: output:1:2: executing "output" at <index .list 9>: error calling index: index out of range: 9
            {{index .list "a"}}
              => ! template: output:1:2: executing "output" at <index .list "a">: error calling index: cannot index slice/array with type string
            {{index .labels 1}}
              => ! template: output:1:2: executing "output" at <index .labels 1>: error calling index: value has type int; should be string
            {{index .labels "z" "y"}}
              => ! template: output:1:2: executing "output" at <index .labels "z" "y">: error calling index: index of nil pointer
            {{slice "hello" 1 3}} {{slice "abc"}} {{slice .list 0 2}}
              => el abc [1 s]
            {{slice "abc" 2 1}}
              => ! template: output:1:2: executing "output" at <slice "abc" 2 1>: error calling slice: invalid slice index: 2 > 1
            {{slice "abc" 1 9}}
              => ! template: output:1:2: executing "output" at <slice "abc" 1 9>: error calling slice: index out of range: 9
            {{exists .spec "ports" 0}} {{exists .spec "ports" 2}} {{exists .none}} {{exists .labels 1}} {{exists .null}} {{exists .none 1}}
              => true false true false true false
            {{.key | base64decode}}
              => hi
            {{base64decode "YW I="}}
              => ! template: output:1:2: executing "output" at <base64decode "YW I=">: error calling base64decode: base64 decode failed: illegal base64 data at input byte 2
            {{base64decode "YWI"}}
              => ! template: output:1:2: executing "output" at <base64decode "YWI">: error calling base64decode: base64 decode failed: illegal base64 data at input byte 0
            {{base64decode "YWI=x"}}
              => ! template: output:1:2: executing "output" at <base64decode "YWI=x">: error calling base64decode: base64 decode failed: illegal base64 data at input byte 4
            {{base64decode .spec}}
              => ! template: output:1:15: executing "output" at <.spec>: wrong type for value; expected string; got map[string]interface {}
            {{base64decode .none}}
              => ! template: output:1:15: executing "output" at <.none>: invalid value; expected string
            {{printf 1}}
              => ! template: output:1:9: executing "output" at <1>: expected string; found 1
            {{.spec | printf}}
              => ! template: output:1:10: executing "output" at <printf>: wrong type for value; expected string; got map[string]interface {}
            {{print 1 2 "a" 3}} {{println "a" 1}}
              => 1 2a3 a 1

            {{html "<a>" .none}} {{js "it's <b>=\x00\u2028"}} {{urlquery "é a&c" 1 2}}
              => &lt;a&gt;&lt;no value&gt; it\'s \u003Cb\u003E\u003D\u0000\u2028 %C3%A9+a%26c1+2
            {{call .list}}
              => ! template: output:1:2: executing "output" at <call .list>: error calling call: non-function .list of type []interface {}
            {{1 | call}}
              => ! template: output:1:6: executing "output" at <call>: error calling call: non-function <int Value> of type int
            {{call nil}}
              => ! template: output:1:2: executing "output" at <call nil>: error calling call: call of nil
            {{not 1 2}}
              => ! template: output:1:2: executing "output" at <not>: wrong number of args for not: want 1 got 2
            {{printf}}
              => ! template: output:1:2: executing "output" at <printf>: wrong number of args for printf: want at least 1 got 0
            {{base64decode "/w=="}}
              => ! the template's output is not UTF-8: such cannot be printed yet
        "#]],
    );
}

#[test]
fn formats() {
    check(
        r#"
        {{printf "%v|%+v|%#v|%T|%T|%T" .list .labels .list .labels .none (index .list 0)}}
        {{printf "%s|%d|%q|%6v|%-6v|%06d|%+d|%x|%X|%o|%b|%c|%U|%e|%g|%t" .none .none .name 1 2 42 5 "hi" 255 8 5 65 66 1234.5 0.00001 true}}
        {{printf "%6.2f|%.3s|%5t|%*d|%[2]v %[1]v" 3.14159 "abcdef" true 5 42}}
        {{printf "%d %d" 1}} {{printf "%d" 1 2 "x"}} {{printf "%"}} {{printf "%z" 1}} {{printf "%d%%" 5}}
        {{printf "%s %d" .labels .list}}
        {{printf "%5v|%-5v|%05d|%+.2e|%x" "é" true -42 12345.678 "é"}} {{printf "%q %q" 'x' "\u2028\xff"}}
        {{printf "%[3]d" 1 2}} {{printf "%.*f" 2 3.14159}} {{printf "%*d" "a" 1}}
        {{printf "%08.3f|%+d|% d|%x|%#x|%#o|%e|%G" 3.14159 1 2 -255 255 8 0.0 1e-7}}
        {{len (printf "%.70000f%.70000e" 1.5 1.5)}} {{len (printf "%070000d%.70000d" 1 1)}} {{printf "%.70000g" 1.5}}
        {{printf "%5s|%-5s|%.1s|%5.1s|% x|%#q|%+q" "ab" "ab" "ab" "ab" "ab" "ab" "é"}}
        {{printf "%g %g %.3g %.10g %6.3v" 100000.0 1234567.0 1234.5 1234567.0 3.14159}}
        "#,
        expect![[r#"
            {{printf "%v|%+v|%#v|%T|%T|%T" .list .labels .list .labels .none (index .list 0)}}
              => [1 s <nil> 2.5]|map[a:1 b:2]|[]interface {}{1, "s", interface {}(nil), 2.5}|map[string]interface {}|<nil>|int64
            {{printf "%s|%d|%q|%6v|%-6v|%06d|%+d|%x|%X|%o|%b|%c|%U|%e|%g|%t" .none .none .name 1 2 42 5 "hi" 255 8 5 65 66 1234.5 0.00001 true}}
              => %!s(<nil>)|%!d(<nil>)|"x"|     1|2     |000042|+5|6869|FF|10|101|A|U+0042|1.234500e+03|1e-05|true
            {{printf "%6.2f|%.3s|%5t|%*d|%[2]v %[1]v" 3.14159 "abcdef" true 5 42}}
              =>   3.14|abc| true|   42|abcdef 3.14159
            {{printf "%d %d" 1}} {{printf "%d" 1 2 "x"}} {{printf "%"}} {{printf "%z" 1}} {{printf "%d%%" 5}}
              => 1 %!d(MISSING) 1%!(EXTRA int=2, string=x) %!(NOVERB) %!z(int=1) 5%
            {{printf "%s %d" .labels .list}}
              => map[a:1 b:2] [1 %!d(string=s) <nil> %!d(float64=2.5)]
            {{printf "%5v|%-5v|%05d|%+.2e|%x" "é" true -42 12345.678 "é"}} {{printf "%q %q" 'x' "\u2028\xff"}}
              =>     é|true |-0042|+1.23e+04|c3a9 'x' "\u2028\xff"
            {{printf "%[3]d" 1 2}} {{printf "%.*f" 2 3.14159}} {{printf "%*d" "a" 1}}
              => %!d(BADINDEX) 3.14 %!(BADWIDTH)1
            {{printf "%08.3f|%+d|% d|%x|%#x|%#o|%e|%G" 3.14159 1 2 -255 255 8 0.0 1e-7}}
              => 0003.142|+1| 2|-ff|0xff|010|0.000000e+00|1E-07
            {{len (printf "%.70000f%.70000e" 1.5 1.5)}} {{len (printf "%070000d%.70000d" 1 1)}} {{printf "%.70000g" 1.5}}
              => 140008 140000 1.5
            {{printf "%5s|%-5s|%.1s|%5.1s|% x|%#q|%+q" "ab" "ab" "ab" "ab" "ab" "ab" "é"}}
              =>    ab|ab   |a|    a|61 62|`ab`|"\u00e9"
            {{printf "%g %g %.3g %.10g %6.3v" 100000.0 1234567.0 1234.5 1234567.0 3.14159}}
              => 100000 1.234567e+06 1.23e+03 1234567   3.14
        "#]],
    );
}

#[test]
fn mistakes() {
    check(
        r#"
        {{foo}}
        {{if}}
        {{.a
        {{end}}
        {{else}}
        {{range .x}}
        {{break}}
        {{range 1}}{{break 1}}{{end}}
        {{$x}}
        {{$x, $y := .a}}
        {{range $k, .x := .a}}{{end}}
        {{"abc}}
        {{"\q"}}
        {{'ab'}}
        {{12ab}}
        {{3-}}
        {{1_0_.5}}
        {{08}}
        {{/* a }}
        {{/* a */ }}
        {{(1}}
        {{1)}}
        {{print ()}}
        {{nil.x}}
        {{"a".x}}
        {{1 | 2}}
        {{ | }}
        {{:}}
        {{@}}
        {{.a@}}
        {{.x.}}
        {{print "abcdefghijklmnopq"abc}}
        {{if .x}}{{else}}{{else}}{{end}}
        {{if 1}}{{else with 2}}{{end}}
        {{template x}}
        {{define x}}{{end}}
        {{if true}}{{define "a"}}{{end}}{{end}}
        {{define "a"}}1{{end}}{{define "a"}}2{{end}}
        {{block "b"}}x{{end}}
        "#,
        expect![[r#"
            {{foo}}
              => ! parse: template: output:1: function "foo" not defined
            {{if}}
              => ! parse: template: output:1: missing value for if
            {{.a
              => ! parse: template: output:1: unclosed action
            {{end}}
              => ! parse: template: output:1: unexpected {{end}}
            {{else}}
              => ! parse: template: output:1: unexpected {{else}}
            {{range .x}}
              => ! parse: template: output:1: unexpected EOF
            {{break}}
              => ! parse: template: output:1: {{break}} outside {{range}}
            {{range 1}}{{break 1}}{{end}}
              => ! parse: template: output:1: unexpected "1" in {{break}}
            {{$x}}
              => ! parse: template: output:1: undefined variable "$x"
            {{$x, $y := .a}}
              => ! parse: template: output:1: too many declarations in command
            {{range $k, .x := .a}}{{end}}
              => ! parse: template: output:1: range can only initialize variables
            {{"abc}}
              => ! parse: template: output:1: unterminated quoted string
            {{"\q"}}
              => ! parse: template: output:1: invalid syntax
            {{'ab'}}
              => ! parse: template: output:1: malformed character constant: 'ab'
            {{12ab}}
              => ! parse: template: output:1: bad number syntax: "12a"
            {{3-}}
              => ! parse: template: output:1: bad number syntax: "3-"
            {{1_0_.5}}
              => ! parse: template: output:1: illegal number syntax: "1_0_.5"
            {{08}}
              => ! parse: template: output:1: integer overflow: "08"
            {{/* a }}
              => ! parse: template: output:1: unclosed comment
            {{/* a */ }}
              => ! parse: template: output:1: comment ends before closing delimiter
            {{(1}}
              => ! parse: template: output:1: unclosed left paren
            {{1)}}
              => ! parse: template: output:1: unexpected right paren
            {{print ()}}
              => ! parse: template: output:1: missing value for parenthesized pipeline
            {{nil.x}}
              => ! parse: template: output:1: unexpected . after term "nil"
            {{"a".x}}
              => ! parse: template: output:1: unexpected . after term "\"a\""
            {{1 | 2}}
              => ! parse: template: output:1: non executable command in pipeline stage 2
            {{ | }}
              => ! parse: template: output:1: unexpected "|" in command
            {{:}}
              => ! parse: template: output:1: expected :=
            {{@}}
              => ! parse: template: output:1: unexpected "@" in command
            {{.a@}}
              => ! parse: template: output:1: bad character U+0040 '@'
            {{.x.}}
              => ! parse: template: output:1: unexpected <.> in operand
            {{print "abcdefghijklmnopq"abc}}
              => ! parse: template: output:1: unexpected "abc" in operand
            {{if .x}}{{else}}{{else}}{{end}}
              => ! parse: template: output:1: expected end; found {{else}}
            {{if 1}}{{else with 2}}{{end}}
              => ! parse: template: output:1: unexpected <with> in input
            {{template x}}
              => ! parse: template: output:1: unexpected "x" in template clause
            {{define x}}{{end}}
              => ! parse: template: output:1: unexpected "x" in define clause
            {{if true}}{{define "a"}}{{end}}{{end}}
              => ! parse: template: output:1: unexpected <define> in command
            {{define "a"}}1{{end}}{{define "a"}}2{{end}}
              => ! parse: template: output:1: template: multiple definition of template "a"
            {{block "b"}}x{{end}}
              => ! parse: template: output:1: missing value for block clause
        "#]],
    );
}

#[test]
fn depth() {
    for (template, expected) in [
        (
            "{{define \"a\"}}{{if 1}}{{template \"a\"}}{{end}}{{end}}{{template \"a\"}}".to_owned(),
            "maximum template depth",
        ),
        (format!("{{{{{}", "(".repeat(5000)), "actions are nested too deeply"),
        ("{{if 1}}".repeat(5000), "actions are nested too deeply"),
        ("{{if 1}}".to_owned() + &"{{else if 1}}".repeat(5000), "actions are nested too deeply"),
        ("{{block \"a\" .}}".repeat(5000), "actions are nested too deeply"),
    ] {
        let said = said(&template, true);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn lines() {
    let mut out = String::new();
    for template in
        ["a\n{{ .x }}\n{{if\n 1\n", "{{.name}}\n\n  {{ \n .name.x }}", "{{if .x}}\n\n{{end}}{{x\n"]
    {
        out.push_str(&format!("{}\n", said(template, true)));
    }
    expect![[r#"
        ! parse: template: output:5: unclosed action started at output:3
        x

          ! template: output:4:6: executing "output" at <.name.x>: can't evaluate field x in type interface {}
        ! parse: template: output:3: function "x" not defined
    "#]]
    .assert_eq(&out);
}
