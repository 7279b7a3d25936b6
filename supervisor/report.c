/* SPDX-License-Identifier: ISC */
/*
 * Collects problems.  Supervisor only.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/report.h"

static void	add(struct conf_problems *, bool, const char *, va_list)
		    ATTR_PRINTF(3, 0);

static void
add(struct conf_problems *problems, bool warning, const char *fmt, va_list ap)
{
	struct conf_problem *problem;
	char *text;

	if (vasprintf(&text, fmt, ap) == -1)
		fatalx("out of memory");
	problems->list = xgrow(problems->list, problems->count,
	    sizeof(*problems->list));
	problem = &problems->list[problems->count++];
	problem->text = text;
	problem->warning = warning;
	if (!warning)
		problems->errors++;
}

void
report_error(struct conf_problems *problems, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(problems, false, fmt, ap);
	va_end(ap);
}

void
report_warning(struct conf_problems *problems, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(problems, true, fmt, ap);
	va_end(ap);
}

void
report_log(const struct conf_problems *problems, size_t first)
{
	for (size_t i = first; i < problems->count; i++)
		log_warnx("%s%s",
		    problems->list[i].warning ? "warning: " : "",
		    problems->list[i].text);
}
