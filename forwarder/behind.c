/* SPDX-License-Identifier: ISC */
/*
 * How far a lane is behind, as time.  mcrelay-forwarder.
 */
#include <string.h>

#include "forwarder/behind.h"

/* Every other one goes. */
static void
thin_out(struct behind *behind)
{
	unsigned from, to = 0;

	for (from = 0; from < behind->marks; from++)
		if (from % 2 == 0 || from == behind->marks - 1)
			behind->mark[to++] = behind->mark[from];
	behind->marks = to;
}

void
behind_note(struct behind *behind, uint64_t written, uint64_t ns)
{
	if (behind->marks > 0 &&
	    written <= behind->mark[behind->marks - 1].written)
		return;
	if (behind->marks == BEHIND_MARKS)
		thin_out(behind);
	behind->mark[behind->marks].written = written;
	behind->mark[behind->marks++].ns = ns;
}

uint64_t
behind_since(struct behind *behind, uint64_t stored)
{
	unsigned done = 0;

	while (done < behind->marks && behind->mark[done].written <= stored)
		done++;
	behind->marks -= done;
	memmove(behind->mark, behind->mark + done,
	    behind->marks * sizeof(behind->mark[0]));
	return behind->marks == 0 ? 0 : behind->mark[0].ns;
}
