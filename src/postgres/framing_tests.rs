//! The framing fed with whole conversations, in pieces and with rubbish.

use proptest::prelude::*;

use super::framing::{Framing, Status};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Rest,
    Open,
    Busy,
    Durable,
    Lost,
}
use Seen::{Busy, Durable, Lost, Open, Rest};

fn seen(framing: &Framing) -> Seen {
    match (framing.lost(), framing.busy(), framing.durable(), framing.status()) {
        (true, ..) => Lost,
        (_, _, true, _) => Durable,
        (_, true, ..) => Busy,
        (_, _, _, Status::Idle) => Rest,
        (_, _, _, Status::Open | Status::Failed) => Open,
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = if tag == 0 { vec![] } else { vec![tag] };
    bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn startup() -> Framing {
    let mut framing = Framing::new();
    framing.outgoing(&message(0, b"\0\x03\0\0user\0x\0\0"));
    framing.incoming(&message(b'R', &[0; 4]));
    framing.incoming(&message(b'K', &[0, 0, 4, 210, 9, 9, 9, 9]));
    ready(&mut framing, b'I');
    framing
}

fn ready(framing: &mut Framing, status: u8) {
    framing.incoming(&message(b'Z', &[status]));
}

fn query(framing: &mut Framing, text: &str) {
    framing.outgoing(&message(b'Q', format!("{text}\0").as_bytes()));
}

fn parse(framing: &mut Framing, text: &str) {
    framing.outgoing(&message(b'P', format!("name\0{text}\0\0\0").as_bytes()));
}

fn send(framing: &mut Framing, tags: &[u8]) {
    for &tag in tags {
        framing.outgoing(&message(tag, b""));
    }
}

fn in_transaction() -> Framing {
    let mut framing = startup();
    query(&mut framing, "BEGIN");
    assert_eq!(seen(&framing), Busy, "a BEGIN leaves nothing behind");
    ready(&mut framing, b'T');
    framing
}

#[test]
fn the_start_up_ends_at_rest_with_the_key() {
    let framing = startup();
    assert_eq!((seen(&framing), framing.key_pid(), framing.answered()), (Rest, Some(1234), 1));
}

#[test]
fn a_statement_outside_a_transaction_is_durable_until_it_is_answered() {
    let mut framing = startup();
    query(&mut framing, "insert into t values (1)");
    assert_eq!(seen(&framing), Durable);
    ready(&mut framing, b'I');
    assert_eq!(seen(&framing), Rest);
}

#[test]
fn an_empty_query_and_a_bare_sync_are_not_work() {
    let mut framing = startup();
    query(&mut framing, "");
    assert_eq!(seen(&framing), Rest);
    ready(&mut framing, b'I');
    send(&mut framing, b"CS");
    assert_eq!(seen(&framing), Rest);
    ready(&mut framing, b'I');
    assert_eq!(seen(&framing), Rest);
}

#[test]
fn inside_a_transaction_only_its_end_is_durable() {
    let mut framing = in_transaction();
    assert_eq!(seen(&framing), Open);
    query(&mut framing, "insert into t values (1)");
    assert_eq!(seen(&framing), Busy);
    ready(&mut framing, b'T');
    query(&mut framing, "/* x */ commit");
    assert_eq!(seen(&framing), Durable);
    ready(&mut framing, b'I');
    assert_eq!(seen(&framing), Rest);
}

#[test]
fn an_error_is_inside_a_transaction_that_an_earlier_request_has_begun_and_none_has_left() {
    let fails = |framing: &mut Framing| {
        framing.incoming(&message(b'E', b"C25006\0\0"));
        let inside = framing.failed_inside();
        ready(framing, b'E');
        assert_eq!(framing.failed_inside(), inside, "until the next error");
        inside
    };
    let mut framing = startup();
    query(&mut framing, "begin; insert into t values (1)");
    assert!(!fails(&mut framing));
    query(&mut framing, "insert into t values (1)");
    assert!(!fails(&mut framing), "it had failed before");
    let mut framing = in_transaction();
    query(&mut framing, "insert into t values (1)");
    assert!(fails(&mut framing));
    let mut framing = in_transaction();
    query(&mut framing, "commit; begin; insert into t values (1)");
    assert!(!fails(&mut framing));
}

#[test]
fn a_parameter_that_is_reported_after_the_start_up_has_turned() {
    let status = message(b'S', b"in_hot_standby\0off\0");
    let mut framing = Framing::new();
    framing.outgoing(&message(0, b"\0\x03\0\0user\0x\0\0"));
    framing.incoming(&status);
    ready(&mut framing, b'I');
    assert!(!framing.take_turned());
    query(&mut framing, "select 1");
    framing.incoming(&status[..4]);
    assert!(!framing.take_turned(), "not all of it has come");
    framing.incoming(&status[4..]);
    assert!(framing.take_turned() && !framing.take_turned(), "told once");
}

#[test]
fn what_is_sent_behind_a_rollback_may_run_outside() {
    let mut framing = in_transaction();
    query(&mut framing, "ROLLBACK");
    assert_eq!(seen(&framing), Busy);
    query(&mut framing, "insert into t values (1)");
    assert_eq!(seen(&framing), Durable);
    ready(&mut framing, b'I');
    assert_eq!(seen(&framing), Durable);
    ready(&mut framing, b'I');
    assert_eq!(seen(&framing), Rest);
}

#[test]
fn preparing_is_work_but_never_durable() {
    let mut framing = startup();
    parse(&mut framing, "insert into t values ($1)");
    assert_eq!(seen(&framing), Busy);
    send(&mut framing, b"DS");
    assert_eq!(seen(&framing), Busy);
    ready(&mut framing, b'I');
    send(&mut framing, b"BE");
    assert_eq!(seen(&framing), Durable);
    send(&mut framing, b"S");
    assert_eq!(seen(&framing), Durable);
    ready(&mut framing, b'I');
    assert_eq!(seen(&framing), Rest);
}

#[test]
fn an_execute_in_a_transaction_is_durable_once_a_commit_was_parsed() {
    let mut framing = in_transaction();
    send(&mut framing, b"BES");
    assert_eq!(seen(&framing), Busy);
    ready(&mut framing, b'T');
    parse(&mut framing, "COMMIT");
    send(&mut framing, b"S");
    ready(&mut framing, b'T');
    send(&mut framing, b"BES");
    assert_eq!(seen(&framing), Durable);
    ready(&mut framing, b'I');
    assert_eq!(seen(&framing), Rest);
}

#[test]
fn a_copy_becomes_durable_with_its_end() {
    let mut framing = startup();
    send(&mut framing, b"BES");
    framing.incoming(&[message(b'2', b""), message(b'G', &[0, 0, 0])].concat());
    assert_eq!(seen(&framing), Busy);
    framing.outgoing(&message(b'd', b"1\n"));
    assert_eq!(seen(&framing), Busy);
    send(&mut framing, b"c");
    assert_eq!(seen(&framing), Durable);
    send(&mut framing, b"S");
    assert_eq!(seen(&framing), Durable);
    ready(&mut framing, b'I');
    assert_eq!(seen(&framing), Rest);
    query(&mut framing, "BEGIN");
    assert_eq!(seen(&framing), Busy, "nothing of the copy is left over");
}

#[test]
fn a_copy_given_up_before_it_began_is_counted_right() {
    let mut framing = startup();
    send(&mut framing, b"BESfS");
    framing.incoming(&[message(b'2', b""), message(b'G', &[0, 0, 0]), message(b'E', b"")].concat());
    assert_eq!(seen(&framing), Busy);
    ready(&mut framing, b'I');
    assert_eq!(seen(&framing), Rest);
    send(&mut framing, b"CS");
    assert_eq!(seen(&framing), Rest, "nothing of the copy is left over");
}

#[test]
fn a_copy_refused_before_it_began_is_answered_twice() {
    let mut framing = startup();
    send(&mut framing, b"BES");
    ready(&mut framing, b'I');
    assert_eq!(seen(&framing), Rest);
    send(&mut framing, b"fS");
    assert_eq!(seen(&framing), Busy);
    ready(&mut framing, b'I');
    assert_eq!(seen(&framing), Rest);
}

#[test]
fn a_copy_by_simple_query_becomes_durable_with_its_end() {
    let mut framing = startup();
    query(&mut framing, "COPY t FROM STDIN");
    framing.incoming(&message(b'G', &[0, 0, 0]));
    assert_eq!(seen(&framing), Busy);
    send(&mut framing, b"c");
    assert_eq!(seen(&framing), Durable);
    ready(&mut framing, b'I');
    query(&mut framing, "BEGIN");
    assert_eq!(seen(&framing), Busy);
}

#[test]
fn a_copy_in_a_transaction_is_never_durable() {
    let mut framing = in_transaction();
    send(&mut framing, b"BES");
    framing.incoming(&[message(b'2', b""), message(b'G', &[0, 0, 0])].concat());
    send(&mut framing, b"cS");
    assert_eq!(seen(&framing), Busy);
    ready(&mut framing, b'T');
    assert_eq!(seen(&framing), Open);
}

#[test]
fn a_request_sent_in_part_cannot_have_been_carried_out() {
    let mut framing = in_transaction();
    let commit = message(b'Q', b"COMMIT\0");
    framing.outgoing(&commit[..commit.len() - 1]);
    assert_eq!(seen(&framing), Open);
    framing.outgoing(&commit[commit.len() - 1..]);
    assert_eq!(seen(&framing), Durable);
}

#[test]
fn a_fatal_error_leaves_its_code_and_others_do_not() {
    for (fields, expected) in [
        (&b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0"[..], Some(*b"57P01")),
        (b"SFATAL\0C08P01\0Mbye\0\0", Some(*b"08P01")),
        (b"SFATAL\0VERROR\0C57014\0Mno\0\0", None),
        (b"SERROR\0C57014\0Mno\0\0", None),
    ] {
        let mut framing = startup();
        query(&mut framing, "select 1");
        for byte in message(b'E', fields) {
            framing.incoming(&[byte]);
        }
        assert_eq!(framing.fatal(), expected);
        ready(&mut framing, b'I');
        assert_eq!(framing.fatal(), None);
    }
}

#[test]
fn a_length_that_cannot_be_one_ends_all_certainty() {
    for length in [0_u32, 3, 0x7fff_ffff, u32::MAX] {
        let mut framing = startup();
        framing.incoming(&[&b"D"[..], &length.to_be_bytes()].concat());
        assert_eq!(seen(&framing), Lost, "{length}");
    }
}

#[test]
fn an_answer_that_nobody_asked_for_ends_all_certainty() {
    let mut framing = startup();
    ready(&mut framing, b'I');
    assert_eq!(seen(&framing), Lost);
}

#[derive(Clone, Debug)]
enum Step {
    ToServer(Vec<u8>),
    FromServer(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let texts =
        prop::sample::select(vec!["BEGIN", "COMMIT", "select 1; end", "ROLLBACK", "", "insert into t values(1)"]);
    let asked = prop_oneof![
        texts.clone().prop_map(|text| message(b'Q', format!("{text}\0").as_bytes())),
        texts.prop_map(|text| message(b'P', format!("n\0{text}\0\0\0").as_bytes())),
        prop::sample::select(b"BDECSHcdfFX".to_vec()).prop_map(|tag| message(tag, b"abc")),
    ];
    let answered = prop_oneof![
        prop::sample::select(b"ITE".to_vec()).prop_map(|status| message(b'Z', &[status])),
        prop::sample::select(b"12GHDCENTS".to_vec()).prop_map(|tag| message(tag, b"xyz")),
    ];
    prop_oneof![
        prop::collection::vec(asked, 1..4).prop_map(|messages| Step::ToServer(messages.concat())),
        prop::collection::vec(answered, 1..4).prop_map(|messages| Step::FromServer(messages.concat())),
    ]
}

proptest! {
    #[test]
    fn pieces_of_any_size_say_the_same_as_the_whole(
        steps in prop::collection::vec(step(), 0..40),
        cuts in prop::collection::vec(1_usize..9, 1..40),
    ) {
        let (mut whole, mut cut) = (startup(), startup());
        let mut sizes = cuts.iter().cycle();
        for step in steps {
            match step {
                Step::ToServer(bytes) => {
                    whole.outgoing(&bytes);
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        let (head, tail) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                        cut.outgoing(head);
                        rest = tail;
                    }
                }
                Step::FromServer(bytes) => {
                    whole.incoming(&bytes);
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        let (head, tail) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                        cut.incoming(head);
                        rest = tail;
                    }
                }
            }
            prop_assert_eq!(seen(&whole), seen(&cut));
            prop_assert_eq!(whole.answered(), cut.answered());
        }
    }

    #[test]
    fn rubbish_never_panics(
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..64)), 0..40),
    ) {
        let mut framing = Framing::new();
        for (up, bytes) in pieces {
            if up { framing.outgoing(&bytes) } else { framing.incoming(&bytes) }
            let _ = seen(&framing);
        }
    }
}
