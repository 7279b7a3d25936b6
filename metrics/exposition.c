/* SPDX-License-Identifier: ISC */
/*
 * Text as Prometheus reads it.  Any process that prints metrics.  There are
 * some hundred thousand samples in a thousand channels: no printf here.
 */
#include <string.h>

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

/* What would end the text or the line; a quote is harmful in labels, and in
 * all texts of OpenMetrics. */
static void
put_escaped(struct exposition *exposition, const char *text, bool quotes)
{
	const char *plain = text;

	for (; *text != '\0'; text++) {
		if (*text != '\\' && *text != '\n' && (!quotes || *text != '"'))
			continue;
		growing_put(&exposition->out, plain, (size_t)(text - plain));
		growing_text(&exposition->out, *text == '\n' ? "\\n" :
		    *text == '"' ? "\\\"" : "\\\\");
		plain = text + 1;
	}
	growing_put(&exposition->out, plain, (size_t)(text - plain));
}

static void
put_name(struct exposition *exposition, const struct metric *metric,
    bool suffix)
{
	growing_text(&exposition->out, METRICS_PREFIX);
	growing_text(&exposition->out, metric->scope);
	growing_text(&exposition->out, metric->name);
	if (suffix)
		growing_text(&exposition->out, suffixes[metric->type]);
}

static void
begin_line(struct exposition *exposition, const char *what,
    const struct metric *metric)
{
	growing_text(&exposition->out, what);
	/* OpenMetrics names the family, the other one its samples. */
	put_name(exposition, metric, !exposition->openmetrics);
	growing_text(&exposition->out, " ");
}

static void
put_head(struct exposition *exposition, const struct metric *metric)
{
	begin_line(exposition, "# HELP ", metric);
	put_escaped(exposition, metric->help, exposition->openmetrics);
	growing_text(&exposition->out, "\n");
	begin_line(exposition, "# TYPE ", metric);
	growing_text(&exposition->out, metric->type == METRIC_INFO &&
	    !exposition->openmetrics ? "gauge" : type_names[metric->type]);
	growing_text(&exposition->out, "\n");
	if (metric->unit == NULL || !exposition->openmetrics)
		return;
	begin_line(exposition, "# UNIT ", metric);
	growing_text(&exposition->out, metric->unit);
	growing_text(&exposition->out, "\n");
}

static void
put_labels(struct exposition *exposition, const struct label *label)
{
	bool first = true;

	for (; label->name != NULL; label++) {
		if (label->value == NULL)
			continue;
		growing_text(&exposition->out, first ? "{" : ",");
		growing_text(&exposition->out, label->name);
		growing_text(&exposition->out, "=\"");
		put_escaped(exposition, label->value, true);
		growing_text(&exposition->out, "\"");
		first = false;
	}
	if (!first)
		growing_text(&exposition->out, "}");
}

/* Of the family's next sample, which is that of the first one. */
static void
repeat_name(struct exposition *exposition)
{
	/* It may move, and the name with it. */
	growing_reserve(&exposition->out, exposition->name_size);
	growing_put(&exposition->out, exposition->out.text +
	    exposition->name_at, exposition->name_size);
}

static void
begin_family(struct exposition *exposition, const struct metric *metric)
{
	put_head(exposition, metric);
	exposition->metric = metric;
	exposition->name_at = exposition->out.size;
	put_name(exposition, metric, true);
	exposition->name_size = exposition->out.size - exposition->name_at;
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
		begin_family(exposition, metric);
	else
		repeat_name(exposition);
	put_labels(exposition, labels);
	growing_text(&exposition->out, " ");
	growing_number(&exposition->out, value / divisor, 1);
	if (divisor > 1) {
		growing_text(&exposition->out, ".");
		growing_number(&exposition->out, value % divisor,
		    digits_of(divisor));
	}
	growing_text(&exposition->out, "\n");
}

void
exposition_end(struct exposition *exposition)
{
	if (exposition->openmetrics)
		growing_text(&exposition->out, "# EOF\n");
}
