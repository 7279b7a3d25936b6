/* SPDX-License-Identifier: ISC */
/*
 * The tables of counters, made from the lists in ledger.h.  Every process.
 */
#include "common/ledger.h"

#define ENTRY(type, name, kind, unit, catalogued, meaning)		\
	{ #name, meaning, LEDGER_##kind, LEDGER_##unit, catalogued,	\
	    offsetof(struct type, name) },

const struct ledger_entry ledger_table[] = {
#define LEDGER_ENTRY(...)	ENTRY(ledger, __VA_ARGS__)
	LEDGER_COUNTERS(LEDGER_ENTRY)
	{ NULL, NULL, 0, 0, false, 0 },
};

const struct ledger_entry output_table[] = {
#define OUTPUT_ENTRY(...)	ENTRY(output_counts, __VA_ARGS__)
	OUTPUT_FLOW_COUNTERS(OUTPUT_ENTRY)
	{ NULL, NULL, 0, 0, false, 0 },
};

const struct ledger_entry input_table[] = {
#define INPUT_ENTRY(...)	ENTRY(input_counts, __VA_ARGS__)
	INPUT_COUNTERS(INPUT_ENTRY)
	{ NULL, NULL, 0, 0, false, 0 },
};

const struct ledger_entry stream_table[] = {
#define STREAM_ENTRY(...)	ENTRY(stream_counts, __VA_ARGS__)
	STREAM_COUNTERS(STREAM_ENTRY)
	{ NULL, NULL, 0, 0, false, 0 },
};

void
ledger_add_output(struct ledger *ledger, const struct output_counts *counts)
{
#define ADD(name, ...)	ledger->name += counts->name;
	OUTPUT_COUNTERS(ADD)
}

void
ledger_since(struct ledger_change *change, const struct ledger *now,
    const struct ledger *then)
{
#define CHANGE(name, ...)						\
	change->name = counter_change(now->name, then->name);
	LEDGER_COUNTERS(CHANGE)
}
