# Tables with many rows about `act.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

test_act_unknown_other_case if denied(put(low, "/poa/act", "ERP.vendor.read"), "unknown_act")

test_act_unknown_space if denied(put(low, "/poa/act", "erp.vendor.read "), "unknown_act")
