/* SPDX-License-Identifier: ISC */
/*
 * The headers of a channel's messages.  mcrelay-forwarder.
 *
 * libnats keeps each key, and each value, in memory of its own, four pieces for
 * a header, and another thread gives them back: with a dozen of them that is
 * most of what it costs to send 4 KiB.  So all of them are the key of one, but
 * for the last one's value: libnats copies a key as it is, in all versions up
 * to the one that is named below.  A later one may look into it, and gets
 * headers one by one.
 */
#include <string.h>

#include "forwarder/headers.h"

/* 3.9.3, the last version when this was written. */
#define KNOWN_VERSION	0x030903U

#define BETWEEN		": "
#define LINE_END	"\r\n"

static void
put_text(struct growing *text, const char *key, const char *value)
{
	growing_text(text, key);
	growing_text(text, BETWEEN);
	growing_text(text, value);
	growing_text(text, LINE_END);
}

static void
put_number(struct growing *text, const char *key, uint64_t value)
{
	growing_text(text, key);
	growing_text(text, BETWEEN);
	growing_number(text, value, 1);
	growing_text(text, LINE_END);
}

static void
put_fingerprint(struct growing *text, uint64_t fingerprint)
{
	static const char digits[] = "0123456789abcdef";
	char print[17] = "";
	size_t i;

	for (i = 0; i < sizeof(print) - 1; i++, fingerprint <<= 4)
		print[i] = digits[fingerprint >> 60];
	put_text(text, "Mcrelay-Fingerprint", print);
}

static void
put_id(struct growing *text, const char *stem, uint64_t first, uint64_t records)
{
	growing_text(text, stem);
	growing_text(text, ":");
	growing_number(text, first, 1);
	growing_text(text, "+");
	growing_number(text, records, 1);
}

static void
put_predecessor(struct growing *text, const struct predecessor *before)
{
	put_number(text, "Nats-Expected-Last-Sequence", before->number +
	    before->ahead);
	if (before->by_subject)
		put_number(text, "Nats-Expected-Last-Subject-Sequence",
		    before->number);
	if (before->stem == NULL)
		return;
	growing_text(text, "Nats-Expected-Last-Msg-Id" BETWEEN);
	put_id(text, before->stem, before->first_record, before->records);
	growing_text(text, LINE_END);
}

void
headers_compose(struct growing *text, const struct lane_spec *lane,
    const struct piece *piece, const struct predecessor *before)
{
	text->size = 0;
	put_text(text, "Mcrelay-Channel", lane->name);
	put_text(text, "Mcrelay-Host", spec.host);
	put_text(text, "Mcrelay-File", piece->stem);
	put_number(text, "Mcrelay-First-Record", piece->first_record);
	put_number(text, "Mcrelay-Records", piece->records);
	if (piece->sequence_known) {
		put_number(text, "Mcrelay-First-Sequence",
		    (uint64_t)piece->first_sequence);
		put_number(text, "Mcrelay-Last-Sequence",
		    (uint64_t)piece->last_sequence);
	}
	if (piece->fingerprint != 0)
		put_fingerprint(text, piece->fingerprint);
	put_text(text, "Nats-Expected-Stream", lane->stream);
	put_predecessor(text, before);
	growing_text(text, "Nats-Msg-Id" BETWEEN);
	put_id(text, piece->stem, piece->first_record, piece->records);
	growing_put(text, "", 1);
}

bool
headers_can_join(void)
{
	return nats_GetVersionNumber() <= KNOWN_VERSION;
}

static bool
set(natsMsg *message, char *line, char *between)
{
	*between = '\0';
	return natsMsgHeader_Set(message, line,
	    between + sizeof(BETWEEN) - 1) == NATS_OK;
}

bool
headers_set(natsMsg *message, struct growing *text, bool join)
{
	char *line = text->text, *last = line, *end;

	while ((end = strstr(last, LINE_END)) != NULL) {
		last = end + sizeof(LINE_END) - 1;
		if (join)
			continue;
		*end = '\0';
		if (!set(message, line, strstr(line, BETWEEN)))
			return false;
		line = last;
	}
	return set(message, line, strstr(last, BETWEEN));
}
