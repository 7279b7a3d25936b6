/* SPDX-License-Identifier: ISC */
/*
 * Text as Prometheus reads it.  Any process that prints metrics.  There are
 * some hundred thousand samples in a thousand channels: no printf here.
 */
#include <string.h>

#include "common/util.h"
#include "metrics/exposition.h"

static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_INFO] = "info",
};

static const char *const suffixes[] = {
	[METRIC_COUNTER] = "_total",
	[METRIC_GAUGE] = "",
	[METRIC_INFO] = "_info",
};

static void
put(struct exposition *exposition, const char *text, size_t size)
{
	while (exposition->size + size > exposition->room) {
		exposition->room = MAX_OF(exposition->room * 2, (size_t)65536);
		exposition->text = xrealloc(exposition->text,
		    exposition->room);
	}
	memcpy(exposition->text + exposition->size, text, size);
	exposition->size += size;
}

static void
put_text(struct exposition *exposition, const char *text)
{
	put(exposition, text, strlen(text));
}

/* What would end the text or the line; a quote is harmful in labels, and in
 * all texts of OpenMetrics. */
static void
put_escaped(struct exposition *exposition, const char *text, bool quotes)
{
	size_t plain;

	for (; *text != '\0'; text++) {
		plain = strcspn(text, quotes ? "\\\n\"" : "\\\n");
		put(exposition, text, plain);
		text += plain;
		if (*text == '\0')
			break;
		put_text(exposition, *text == '\n' ? "\\n" :
		    *text == '"' ? "\\\"" : "\\\\");
	}
}

/* At least so many digits. */
static void
put_number(struct exposition *exposition, uint64_t value, size_t digits)
{
	char text[24], *first = text + sizeof(text);

	do {
		*--first = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0 || (size_t)(text + sizeof(text) - first) < digits);
	put(exposition, first, (size_t)(text + sizeof(text) - first));
}

static void
put_name(struct exposition *exposition, const struct metric *metric,
    bool suffix)
{
	put_text(exposition, METRICS_PREFIX);
	put_text(exposition, metric->scope);
	put_text(exposition, metric->name);
	if (suffix)
		put_text(exposition, suffixes[metric->type]);
}

static void
begin_line(struct exposition *exposition, const char *what,
    const struct metric *metric)
{
	put_text(exposition, what);
	/* OpenMetrics names the family, the other one its samples. */
	put_name(exposition, metric, !exposition->openmetrics);
	put_text(exposition, " ");
}

static void
put_head(struct exposition *exposition, const struct metric *metric)
{
	begin_line(exposition, "# HELP ", metric);
	put_escaped(exposition, metric->help, exposition->openmetrics);
	put_text(exposition, "\n");
	begin_line(exposition, "# TYPE ", metric);
	put_text(exposition, metric->type == METRIC_INFO &&
	    !exposition->openmetrics ? "gauge" : type_names[metric->type]);
	put_text(exposition, "\n");
	if (metric->unit == NULL || !exposition->openmetrics)
		return;
	begin_line(exposition, "# UNIT ", metric);
	put_text(exposition, metric->unit);
	put_text(exposition, "\n");
}

static void
put_labels(struct exposition *exposition, const struct label *label)
{
	bool first = true;

	for (; label->name != NULL; label++) {
		if (label->value == NULL)
			continue;
		put_text(exposition, first ? "{" : ",");
		put_text(exposition, label->name);
		put_text(exposition, "=\"");
		put_escaped(exposition, label->value, true);
		put_text(exposition, "\"");
		first = false;
	}
	if (!first)
		put_text(exposition, "}");
}

static size_t
digits_of(uint64_t divisor)
{
	size_t digits = 0;

	for (; divisor > 1; divisor /= 10)
		digits++;
	return digits;
}

void
exposition_begin(struct exposition *exposition, bool openmetrics)
{
	memset(exposition, 0, sizeof(*exposition));
	exposition->openmetrics = openmetrics;
}

void
exposition_family(struct exposition *exposition)
{
	exposition->metric = NULL;
}

void
exposition_sample(struct exposition *exposition, const struct metric *metric,
    const struct label *labels, uint64_t value, uint64_t divisor)
{
	if (exposition->metric != metric)
		put_head(exposition, metric);
	exposition->metric = metric;
	put_name(exposition, metric, true);
	put_labels(exposition, labels);
	put_text(exposition, " ");
	put_number(exposition, value / divisor, 1);
	if (divisor > 1) {
		put_text(exposition, ".");
		put_number(exposition, value % divisor, digits_of(divisor));
	}
	put_text(exposition, "\n");
}

void
exposition_end(struct exposition *exposition)
{
	if (exposition->openmetrics)
		put_text(exposition, "# EOF\n");
}
