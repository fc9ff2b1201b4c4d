use super::*;

#[test]
fn sets() {
    let set = Indexes::parse("0,2-4,5,x,9-20", 15);
    assert_eq!(set.to_string(), "0,2-5,9-14");
    assert_eq!(set.total(), 11);
    assert!(set.has(0) && !set.has(1) && set.has(5) && !set.has(8) && set.has(14) && !set.has(15));
    assert_eq!(set.union(&[1, 6, 7].into_iter().collect()).to_string(), "0-7,9-14");
    assert_eq!(set.first_missing(3, 15), [1, 6, 7]);
    assert_eq!(set.first_missing(9, 15), [1, 6, 7, 8]);
    assert!(set.first_missing(0, 15).is_empty());
    assert_eq!(Indexes::new().first_missing(2, 5), [0, 1]);
    assert_eq!(set.common(&Indexes::parse("1-3,14", 15)), 3);
    assert_eq!([4, 3].into_iter().collect::<Indexes>().to_string(), "3,4");
    assert_eq!(Indexes::parse("", 3), Indexes::new());
}

#[test]
fn strict_reading() {
    let error = |text| count(text, 10).unwrap_err();
    assert_eq!(count("", 10), Ok(0));
    assert_eq!(count("0,2-4,9", 10), Ok(5));
    assert_eq!(error("1,1"), "non-increasing order, previous: 1, current: 1");
    assert_eq!(error("4-2"), "non-increasing order, previous: 4, current: 2");
    assert_eq!(error("10"), "too large index: \"10\"");
    assert_eq!(error("1,a"), "cannot convert string to integer for index: \"a\"");
    assert!(error("1-2-3").starts_with("the fragment \"1-2-3\" violates"));
    assert_eq!(overlap("0-3,7", "4,6-8", 10), Some(7));
    assert_eq!(overlap("0-3", "4,6-8", 10), None);
    assert_eq!(overlap("3-5", "1-4", 10), Some(3));
}
