use std::sync::Arc;

use super::*;
use crate::counts::Counts;

#[test]
fn nothing_counted_is_nothing_found() {
    let mut diagnostician = Diagnostician::new();
    let delta = Delta { elapsed: Some(LOOK), counts: Counts::zero(Arc::new(Schema::own())) };
    for _ in 0..100 {
        assert_eq!(diagnostician.observe(&delta, &Around::default()), []);
    }
}
