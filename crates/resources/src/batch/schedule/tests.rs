use expect_test::{Expect, expect};

use super::*;

#[track_caller]
fn check(schedule: &str, zone: &str, from: &str, expect: Expect) {
    let zone = time_zone(zone).unwrap();
    let schedule = Schedule::parse(schedule).unwrap();
    let mut at: Timestamp = from.parse().unwrap();
    let mut out = String::new();
    for _ in 0..4 {
        let Some(next) = schedule.next(at, &zone) else {
            out += "never\n";
            break;
        };
        out += &format!("{}\n", next.to_zoned(zone.clone()).strftime("%a %F %T %:z"));
        at = next;
    }
    expect.assert_eq(&out);
}

#[test]
fn every_minute() {
    check(
        "* * * * *",
        "",
        "2026-01-01T00:00:30Z",
        expect![[r#"
        Thu 2026-01-01 00:01:00 +00:00
        Thu 2026-01-01 00:02:00 +00:00
        Thu 2026-01-01 00:03:00 +00:00
        Thu 2026-01-01 00:04:00 +00:00
    "#]],
    );
}

#[test]
fn ranges_steps_lists_and_names() {
    check(
        "10-30/10,5 8,20 * FEB-Mar ?",
        "",
        "2026-01-05T00:00:00Z",
        expect![[r#"
        Sun 2026-02-01 08:05:00 +00:00
        Sun 2026-02-01 08:10:00 +00:00
        Sun 2026-02-01 08:20:00 +00:00
        Sun 2026-02-01 08:30:00 +00:00
    "#]],
    );
    check(
        "50/4 * * * *",
        "",
        "2026-01-05T00:00:00Z",
        expect![[r#"
        Mon 2026-01-05 00:50:00 +00:00
        Mon 2026-01-05 00:54:00 +00:00
        Mon 2026-01-05 00:58:00 +00:00
        Mon 2026-01-05 01:50:00 +00:00
    "#]],
    );
}

#[test]
fn days_of_month_and_week() {
    // Both named: one is enough.
    check(
        "0 0 13 * fri",
        "",
        "2026-02-01T00:00:00Z",
        expect![[r#"
        Fri 2026-02-06 00:00:00 +00:00
        Fri 2026-02-13 00:00:00 +00:00
        Fri 2026-02-20 00:00:00 +00:00
        Fri 2026-02-27 00:00:00 +00:00
    "#]],
    );
    check(
        "0 0 * * mon",
        "",
        "2026-02-01T00:00:00Z",
        expect![[r#"
        Mon 2026-02-02 00:00:00 +00:00
        Mon 2026-02-09 00:00:00 +00:00
        Mon 2026-02-16 00:00:00 +00:00
        Mon 2026-02-23 00:00:00 +00:00
    "#]],
    );
    check(
        "0 0 29 2 *",
        "",
        "2026-02-01T00:00:00Z",
        expect![[r#"
        Tue 2028-02-29 00:00:00 +00:00
        Sun 2032-02-29 00:00:00 +00:00
        Fri 2036-02-29 00:00:00 +00:00
        Wed 2040-02-29 00:00:00 +00:00
    "#]],
    );
    check(
        "59 23 31 2 *",
        "",
        "2026-02-01T00:00:00Z",
        expect![[r#"
        never
    "#]],
    );
}

#[test]
fn macros() {
    check(
        "@weekly",
        "",
        "2026-01-01T00:00:00Z",
        expect![[r#"
        Sun 2026-01-04 00:00:00 +00:00
        Sun 2026-01-11 00:00:00 +00:00
        Sun 2026-01-18 00:00:00 +00:00
        Sun 2026-01-25 00:00:00 +00:00
    "#]],
    );
    check(
        "@every 1h30m",
        "",
        "2026-01-01T00:00:07.5Z",
        expect![[r#"
        Thu 2026-01-01 01:30:07 +00:00
        Thu 2026-01-01 03:00:07 +00:00
        Thu 2026-01-01 04:30:07 +00:00
        Thu 2026-01-01 06:00:07 +00:00
    "#]],
    );
    for same in ["@yearly", "@annually", "@monthly", "@daily", "@midnight", "@hourly"] {
        assert!(Schedule::parse(same).is_ok(), "{same}");
    }
}

#[test]
fn clocks_that_are_set() {
    // 02:30 does not come on the day in March, and 01:30 comes twice on the one in November.
    check(
        "30 2 * * *",
        "America/New_York",
        "2026-03-07T00:00:00Z",
        expect![[r#"
        Sat 2026-03-07 02:30:00 -05:00
        Mon 2026-03-09 02:30:00 -04:00
        Tue 2026-03-10 02:30:00 -04:00
        Wed 2026-03-11 02:30:00 -04:00
    "#]],
    );
    check(
        "30 1 * * *",
        "America/New_York",
        "2026-11-01T00:00:00Z",
        expect![[r#"
        Sun 2026-11-01 01:30:00 -04:00
        Sun 2026-11-01 01:30:00 -05:00
        Mon 2026-11-02 01:30:00 -05:00
        Tue 2026-11-03 01:30:00 -05:00
    "#]],
    );
    check(
        "TZ=Asia/Kolkata 0 0 * * *",
        "",
        "2026-01-01T00:00:00Z",
        expect![[r#"
        Thu 2026-01-01 18:30:00 +00:00
        Fri 2026-01-02 18:30:00 +00:00
        Sat 2026-01-03 18:30:00 +00:00
        Sun 2026-01-04 18:30:00 +00:00
    "#]],
    );
}

#[test]
fn what_is_no_schedule() {
    let mut out = String::new();
    for text in [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 7",
        "5-1 * * * *",
        "1-2-3 * * * *",
        "1/2/3 * * * *",
        "*/0 * * * *",
        "x * * * *",
        "-1 * * * *",
        "*/-5 * * * *",
        "99999999999999999999 * * * *",
        "* * * foo *",
        "@often",
        "@every",
        "@every x",
        "@every 5",
        "@every 5y",
        "TZ=Nowhere/Land * * * * *",
    ] {
        out += &format!("{text}\n    {}\n", Schedule::parse(text).unwrap_err());
    }
    expect![[r#"

            empty spec string
        * * * *
            expected exactly 5 fields, found 4: [* * * *]
        * * * * * *
            expected exactly 5 fields, found 6: [* * * * * *]
        60 * * * *
            end of range (60) above maximum (59): 60
        * 24 * * *
            end of range (24) above maximum (23): 24
        * * 0 * *
            beginning of range (0) below minimum (1): 0
        * * * 13 *
            end of range (13) above maximum (12): 13
        * * * * 7
            end of range (7) above maximum (6): 7
        5-1 * * * *
            beginning of range (5) beyond end of range (1): 5-1
        1-2-3 * * * *
            too many hyphens: 1-2-3
        1/2/3 * * * *
            too many slashes: 1/2/3
        */0 * * * *
            step of range should be a positive number: */0
        x * * * *
            failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax
        -1 * * * *
            failed to parse int from : strconv.Atoi: parsing "": invalid syntax
        */-5 * * * *
            negative number (-5) not allowed: -5
        99999999999999999999 * * * *
            failed to parse int from 99999999999999999999: strconv.Atoi: parsing "99999999999999999999": value out of range
        * * * foo *
            failed to parse int from foo: strconv.Atoi: parsing "foo": invalid syntax
        @often
            unrecognized descriptor: @often
        @every
            unrecognized descriptor: @every
        @every x
            failed to parse duration @every x: time: invalid duration "x"
        @every 5
            failed to parse duration @every 5: time: missing unit in duration "5"
        @every 5y
            failed to parse duration @every 5y: time: unknown unit "y" in duration "5y"
        TZ=Nowhere/Land * * * * *
            provided bad location Nowhere/Land: unknown time zone Nowhere/Land
    "#]].assert_eq(&out);
}

#[test]
fn zones() {
    for name in ["UTC", "Etc/UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "GMT", "CET"] {
        assert!(time_zone(name).is_ok(), "{name}");
    }
    assert_eq!(time_zone("europe/berlin").unwrap_err(), "unknown time zone europe/berlin");
}
