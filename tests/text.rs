//! How lengths of time and misspelt words are written and read.
use std::time::Duration;

use relink::{Fault, Span, Time, UnknownWord, nearest};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

#[test]
fn a_span_is_written_in_the_unit_that_people_compare() {
    for (ms, text) in [
        (0, "0"),
        (1, "1ms"),
        (999, "999ms"),
        (1_000, "1s"),
        (1_500, "1500ms"),
        (90_000, "90s"),
        (9 * MINUTE, "540s"),
        (10 * MINUTE, "10m"),
        (10 * MINUTE + 1_000, "601s"),
        (11 * MINUTE, "11m"),
        (HOUR, "1h"),
        (HOUR + MINUTE, "61m"),
        (HOUR + 1_000, "3601s"),
        (25 * HOUR, "25h"),
    ] {
        assert_eq!(Span::from_millis(ms).to_string(), text);
        assert_eq!(text.parse(), Ok(Span::from_millis(ms)), "{text}");
    }
}

#[test]
fn a_span_is_read_with_its_unit_alone() {
    let read = |text: &str| text.parse::<Span>().map(Span::as_millis).ok();
    assert_eq!(
        [" 5 s ", "30m", "0", "0s", "00"].map(read),
        [Some(5_000), Some(30 * MINUTE), Some(0), Some(0), Some(0)]
    );
    for text in ["", "s", "5", "-5s", "1.5s", "5 parsecs", "18446744073709551616ms", "18446744073709551615s"] {
        assert_eq!(read(text), None, "{text}");
    }
    let refused = "5 parsecs".parse::<Span>().unwrap_err().to_string();
    assert!(refused.starts_with("`5 parsecs` is not a length of time: write a whole number"), "{refused}");
}

#[test]
fn a_span_is_as_long_as_the_standard_librarys() {
    assert_eq!(Duration::from(Span::from_millis(1_234)), Duration::from_millis(1_234));
    assert_eq!(Span::from_secs(7).as_millis(), 7_000);
}

#[test]
fn times_and_spans_end_at_their_ends() {
    let (one, two) = (Span::from_millis(1), Span::from_millis(2));
    assert_eq!((one + two, two - one, one - two), (Span::from_millis(3), one, Span::ZERO));
    assert_eq!((two * 3, Span::FOREVER + one, Span::FOREVER * 2), (Span::from_millis(6), Span::FOREVER, Span::FOREVER));
    assert_eq!((Time::ZERO + one, Time::NEVER + one), (Time::from_millis(1), Time::NEVER));
    assert_eq!((Time::ZERO - Time::from_millis(1), Time::from_millis(3) - Time::from_millis(1)), (Span::ZERO, two));
}

#[test]
fn the_nearest_word_has_the_fewest_edits_and_at_most_a_third_of_its_letters() {
    const LONG: &str = "abcdefghi";
    for near in ["abcdef", "abcdefghixyz", "xyzdefghi", "abcxdefxghix", "AB-C d_efgHi", "defghi"] {
        assert_eq!(nearest(near, &[LONG]), Some(LONG), "{near}");
    }
    for far in ["abcde", "abcdefghiwxyz", "wxyzabcdefghi", "wxyzefghi", "efghi", ""] {
        assert_eq!(nearest(far, &[LONG]), None, "{far}");
    }
    assert_eq!(nearest("kitten", &["sitting", "mitten", "kit"]), Some("mitten"));
    assert_eq!(nearest("sunday", &["saturday"]), Some("saturday"));
    assert_eq!(nearest("saturday", &["sunday"]), None);
    assert_eq!(nearest("any", &[]), None);
    assert_eq!((nearest("a", &["_"]), nearest("ab", &["_"])), (Some("_"), None), "of `_` nothing is left to compare");
}

#[test]
fn a_word_is_known_whatever_its_case_and_its_joints() {
    for text in ["timed_out", "TimedOut", "timed-out", "TIMED OUT"] {
        assert_eq!(text.parse::<Fault>().ok(), Some(Fault::TimedOut), "{text}");
    }
    assert!("timedou".parse::<Fault>().is_err() && "".parse::<Fault>().is_err());
}

#[test]
fn an_unknown_word_is_told_the_nearest_one_and_the_others_while_they_are_few() {
    const FEW: &[&str] = &["red", "green", "blue"];
    const MANY: &[&str] = &["a1", "b1", "c1", "d1", "e1", "f1", "g1", "h1", "i1", "j1", "k1", "l1", "green"];
    let told = |value, known| UnknownWord::new("colour", value, known).to_string();
    let few = "the known ones are red, green, blue";
    assert_eq!(told("gren", FEW), format!("unknown colour \"gren\": did you mean \"green\"? {few}"));
    assert_eq!(told("violet", FEW), format!("unknown colour \"violet\": {few}"));
    assert_eq!(told("gren", MANY), "unknown colour \"gren\": did you mean \"green\"?");
    let twelve = told("gren", MANY.split_first().unwrap().1);
    assert!(twelve.ends_with("the known ones are b1, c1, d1, e1, f1, g1, h1, i1, j1, k1, l1, green"), "{twelve}");
}
