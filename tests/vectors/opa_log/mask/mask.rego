# What OPA took out of its log: see make.sh.
package system.log

mask contains "/input/poa/note" if input.input.poa.note

mask contains {"op": "upsert", "path": "/input/poa/amount", "value": "hidden"} if input.input.poa.hide
