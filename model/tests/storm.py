"""Asks Storm about an exported fleet: states, choices, and two values, a line each."""

import sys

import stormpy

model = stormpy.build_model_from_drn(sys.argv[1])
print(model.nr_states)
print(model.nr_choices)
# A label that no state has is not in the file.
for label in ("assumed", "goal"):
    if not model.labeling.contains_label(label):
        model.labeling.add_label(label)
# How likely the adversary can keep a run that is assumed up from the goal, and how long the goal takes at worst.
for formula in ('Pmax=? [ (F G "assumed") & (G F !"goal") ]', 'R{"cost"}max=? [ F "goal" ]'):
    result = stormpy.model_checking(model, stormpy.parse_properties(formula)[0])
    print(max(result.get_value(state) for state in model.initial_states))
