/* SPDX-License-Identifier: ISC */
/*
 * The table of counters, made from the one list in ledger.h.  Every process.
 */
#include "common/ledger.h"

const struct ledger_entry ledger_table[] = {
#define LEDGER_ENTRY(name, meaning)					\
	{ #name, meaning, offsetof(struct ledger, name) },
	LEDGER_COUNTERS(LEDGER_ENTRY)
#undef LEDGER_ENTRY
	{ NULL, NULL, 0 },
};

void
ledger_subtract(struct ledger *ledger, const struct ledger *earlier)
{
#define SUBTRACT(name, meaning)	ledger->name -= earlier->name;
	LEDGER_COUNTERS(SUBTRACT)
#undef SUBTRACT
}
