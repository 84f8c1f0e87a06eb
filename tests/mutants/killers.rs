//! The tests that have to notice a change of the core's source, in one binary: laws and scenarios, no snapshot.

#[path = "../frame_laws.rs"]
mod frame_laws;
#[path = "../late_answers.rs"]
mod late_answers;
#[path = "../laws.rs"]
mod laws;
#[path = "../link_rules.rs"]
mod link_rules;
#[path = "../pacer_lessons.rs"]
mod pacer_lessons;
#[path = "../pacer_scenarios.rs"]
mod pacer_scenarios;
#[path = "../pool_laws.rs"]
mod pool_laws;
#[path = "../pool_rules.rs"]
mod pool_rules;
#[path = "../pool_scenarios.rs"]
mod pool_scenarios;
#[path = "../pool_wants.rs"]
mod pool_wants;
#[path = "../question_scenarios.rs"]
mod question_scenarios;
#[path = "../text.rs"]
mod text;
