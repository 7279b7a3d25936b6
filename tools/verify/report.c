/* SPDX-License-Identifier: ISC */
/*
 * What mcrelay-verify says about files.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/util.h"
#include "tools/verify/verify.h"

static void
print_times(FILE *out, int64_t first_ns, int64_t last_ns)
{
	char first[UTC_TEXT_SIZE], last[UTC_TEXT_SIZE];

	if (first_ns == RECORDS_NO_TIME || first_ns < 0 || last_ns < 0)
		return;
	format_utc((uint64_t)first_ns, first);
	format_utc((uint64_t)last_ns, last);
	say(out, ", %s to %s", first, last);
}

void
report_begin(FILE *out, const char *path, const struct reader *reader)
{
	say(out, "%s: header of %zu bytes, codec %s%s, sync ", path,
	    reader->walk.header_size, reader->codec_name,
	    reader->codec_known ? "" :
	    " (cannot be looked into by this program)");
	for (unsigned i = 0; i < AVRO_SYNC_SIZE; i++)
		say(out, "%02x", reader->walk.sync[i]);
	if (reader->records.program == NULL)
		say(out, ", records not checked (schema: %s)\n",
		    reader->records.error);
	else
		say(out, ", records of %s\n", reader->records.datagrams ?
		    "mcrelay.Datagram" : "its own schema");
}

void
report_block(FILE *out, uint64_t number, const struct reader_block *block)
{
	say(out, "  block %" PRIu64 ": offset %" PRIu64 ", %" PRIu64
	    " records, %zu bytes", number, block->offset, block->good,
	    block->data != NULL ? block->good_size : block->stored_size);
	if (block->data != block->stored)
		say(out, " (%zu stored)", block->stored_size);
	if (block->sequence_known)
		say(out, ", sequence %" PRId64 " to %" PRId64,
		    block->first_sequence, block->last_sequence);
	print_times(out, block->first_ns, block->last_ns);
	fputc('\n', out);
}

void
report_damage(FILE *out, const char *path,
    const struct reader_block *block)
{
	say(out, "%s: damage at offset %" PRIu64 ", %" PRIu64 " bytes: %s",
	    path, block->offset, block->size, block->damage);
	if (block->records != 0)
		say(out, "; %" PRIu64 " of %" PRIu64 " records are good",
		    block->good, block->records);
	fputc('\n', out);
}

void
report_end(FILE *out, const char *path, const struct reader *reader,
    const struct summary *summary)
{
	if (summary->status == VERIFY_UNUSABLE) {
		say(out, "%s: unusable: %s\n", path, summary->why);
		return;
	}
	if (summary->damaged == 0)
		say(out, "%s: whole: ", path);
	else
		say(out, "%s: damaged in %" PRIu64 " place%s: ", path,
		    summary->damaged, summary->damaged == 1 ? "" : "s");
	say(out, "%" PRIu64 " records in %" PRIu64 " blocks, %" PRIu64
	    " bytes, codec %s", summary->records, summary->blocks,
	    summary->bytes, reader->codec_name);
	if (summary->sequence_known)
		say(out, ", sequence %" PRId64 " to %" PRId64,
		    summary->first_sequence, summary->last_sequence);
	print_times(out, summary->first_ns, summary->last_ns);
	if (!reader->codec_known)
		say(out, ", which cannot be looked into by this program");
	else if (reader->records.program == NULL)
		say(out, ", records not checked (schema: %s)",
		    reader->records.error);
	fputc('\n', out);
}
