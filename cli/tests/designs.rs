//! What the page says about the designs, against the list of the designs that there are.

use serde_json::Value;
use stormglass_allocator::StrategyId;

#[test]
fn every_design_is_explained_under_the_name_and_phase_that_it_has() {
    let text = include_str!("../../dashboard/page/designs.json");
    let about: Value = serde_json::from_str(text).expect("JSON");
    let designs = about["designs"].as_array().expect("a list");
    for id in StrategyId::ALL {
        let said = designs.iter().find(|d| d["name"] == id.name());
        let said = said.unwrap_or_else(|| panic!("dashboard/page/designs.json says nothing about {id}"));
        assert_eq!(said["paper"], id.paper(), "{id}");
    }
}
