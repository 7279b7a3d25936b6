/* SPDX-License-Identifier: ISC */
/*
 * What a client of /live is told of the status.  mcrelay-web only.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/util.h"
#include "web/live_priv.h"

void
live_begin(struct text *text, const char *name)
{
	text_puts(text, "event: ");
	text_puts(text, name);
	text_puts(text, "\ndata: ");
}

/* What several share has no number of its own. */
static struct text *
begin_shared(const char *name)
{
	struct text *text = text_new();

	live_begin(text, name);
	return text;
}

static void
number(struct text *text, int64_t value)
{
	text_printf(text, "%lld", (long long)value);
}

static void
seconds(struct text *text, int64_t ns)
{
	if (ns > 0)
		text_time(text, (uint64_t)ns);
	else
		text_puts(text, "null");
}

/* What came, and was neither relayed nor archived as it should be. */
static int64_t
lost(const struct node *ledger)
{
	static const char *const losses[] = {"kernel_dropped", "truncated",
	    "refused_source", "relay_errors", "rejected", "archive_shed"};
	int64_t sum = 0;
	size_t i;

	for (i = 0; i < NITEMS(losses); i++)
		sum += node_number(node_get(ledger, losses[i]));
	return sum;
}

/* "2026-11-27T21:30:00Z" in seconds since 1970, or 0. */
static int64_t
time_of(const char *string)
{
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	return string != NULL && strptime(string, "%Y-%m-%dT%H:%M:%SZ",
	    &tm) != NULL ? timegm(&tm) : 0;
}

/* Their words; returns since when there is one, or 0. */
static int64_t
reasons(struct text *text, const struct node *all)
{
	const struct node *reason;
	int64_t since = 0, begun;
	const char *comma = "";

	text_puts(text, ",[");
	NODE_FOREACH(reason, all) {
		text_puts(text, comma);
		text_string(text, node_text(node_get(reason, "what")));
		begun = time_of(node_text(node_get(reason, "since")));
		if (begun != 0 && (since == 0 || begun < since))
			since = begun;
		comma = ",";
	}
	text_puts(text, "]");
	return since;
}

static void
overview_row(struct text *text, const struct node *channel)
{
	const struct node *ledger = node_get(channel, "ledger");
	int64_t since;

	text_puts(text, "[");
	text_string(text, node_text(node_get(channel, "name")));
	text_puts(text, ",");
	text_string(text, node_text(node_get(channel, "state")));
	since = reasons(text, node_get(channel, "reasons"));
	text_puts(text, ",");
	number(text, node_number(node_get(ledger, "received")));
	text_puts(text, ",");
	number(text, lost(ledger));
	text_puts(text, ",");
	number(text, node_number(node_get(channel, "restarts")));
	text_puts(text, ",");
	seconds(text, node_number(node_get(channel, "last_datagram_ns")));
	text_puts(text, ",");
	seconds(text, since * (int64_t)NS_PER_S);
	text_puts(text, ",");
	number(text, node_number(node_get(channel, "pid")));
	text_puts(text, "]");
}

struct text *
live_overview(const struct node *status, uint64_t since_ns)
{
	struct text *text = begin_shared("overview");
	const struct node *channel;
	const char *comma = "";

	if (status == NULL) {
		text_puts(text, "{\"down\":true,\"since\":");
		text_time(text, since_ns);
		text_puts(text, "}\n\n");
		return text;
	}
	text_puts(text, "{\"down\":false,\"now\":");
	text_time(text, clock_realtime_ns());
	text_puts(text, ",\"channels\":[");
	NODE_FOREACH(channel, node_get(status, "channels")) {
		text_puts(text, comma);
		overview_row(text, channel);
		comma = ",";
	}
	text_puts(text, "]}\n\n");
	return text;
}

/* As it came; document.h bounds its depth. */
static void
print(struct text *text, const struct node *node)
{
	bool object = node->type == NODE_OBJECT;
	const struct node *in;
	const char *comma = "";

	switch (node->type) {
	case NODE_OBJECT:
	case NODE_ARRAY:
		text_puts(text, object ? "{" : "[");
		NODE_FOREACH(in, node) {
			text_puts(text, comma);
			comma = ",";
			if (object) {
				text_string(text, in->name);
				text_puts(text, ":");
			}
			print(text, in);
		}
		text_puts(text, object ? "}" : "]");
		break;
	case NODE_TEXT:
		text_string(text, node->text);
		break;
	case NODE_NUMBER:
		number(text, node->number);
		break;
	case NODE_TRUTH:
		text_puts(text, node->number != 0 ? "true" : "false");
		break;
	case NODE_OTHER:
		text_puts(text, "null");
		break;
	}
}

struct text *
live_channel(const struct node *status, const char *name)
{
	struct text *text = begin_shared("channel");
	const struct node *channel;
	const char *found;

	NODE_FOREACH(channel, node_get(status, "channels")) {
		found = node_text(node_get(channel, "name"));
		if (found != NULL && strcmp(found, name) == 0) {
			print(text, channel);
			text_puts(text, "\n\n");
			return text;
		}
	}
	text_puts(text, "{\"name\":");
	text_string(text, name);
	text_puts(text, ",\"gone\":true}\n\n");
	return text;
}
