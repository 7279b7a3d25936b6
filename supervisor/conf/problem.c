/* SPDX-License-Identifier: ISC */
/*
 * The list of what is wrong with a configuration file.  Supervisor only.
 * Prints nothing: whoever asked for the file decides where its problems go.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "supervisor/conf/problem.h"

static bool
known(const struct problem_list *list, struct place place, const char *text)
{
	const struct problem *p = list->problem;
	size_t i;

	for (i = 0; i < list->count; i++)
		if (p[i].place.line == place.line &&
		    p[i].place.column == place.column &&
		    strcmp(p[i].text, text) == 0)
			return true;
	return false;
}

static void
append(struct problem_list *list, struct place place, bool warning, char *text)
{
	struct problem *p;

	list->problem = xgrow(list->problem, list->count,
	    sizeof(*list->problem));
	p = &list->problem[list->count];
	*p = (struct problem){ .place = place, .order = list->count,
	    .warning = warning, .text = text };
	list->count++;
	if (!warning)
		list->errors++;
}

static void ATTR_PRINTF(4, 0)
add(struct problem_list *list, struct place place, bool warning,
    const char *fmt, va_list ap)
{
	char text[2048];

	list->found += !warning;
	if (!warning && list->errors >= PROBLEMS_MAX)
		list->overflow = true;
	if ((warning ? list->count - list->errors : list->errors) >=
	    PROBLEMS_MAX)
		return;
	/* Longer texts hold a path or a name that is cut; that is enough. */
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	if (!known(list, place, text))
		append(list, place, warning, xstrdup(text));
}

void
problem_error(struct problem_list *list, struct place place,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(list, place, false, fmt, ap);
	va_end(ap);
}

void
problem_warning(struct problem_list *list, struct place place,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(list, place, true, fmt, ap);
	va_end(ap);
}

bool
problem_enough(struct problem_list *list)
{
	if (list->found > FOUND_MAX)
		list->overflow = true;
	return list->overflow;
}

static int
compare(const void *one, const void *other)
{
	const struct problem *a = one, *b = other;

	if (a->place.line != b->place.line)
		return a->place.line < b->place.line ? -1 : 1;
	if (a->place.column != b->place.column)
		return a->place.column < b->place.column ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

static char *
with_place(const char *file, const struct problem *p)
{
	if (p->place.line == 0)
		return xasprintf("%s: %s", file, p->text);
	return xasprintf("%s:%u:%u: %s", file, p->place.line,
	    p->place.column, p->text);
}

void
problem_publish(struct problem_list *list, const char *file,
    struct conf_problems *problems)
{
	struct problem *p;
	size_t i;

	if (list->count > 0)
		qsort(list->problem, list->count, sizeof(*list->problem),
		    compare);
	problems->list = xcalloc(list->count + 1, sizeof(*problems->list));
	for (i = 0; i < list->count; i++) {
		p = &list->problem[i];
		problems->list[i].text = with_place(file, p);
		problems->list[i].warning = p->warning;
		free(p->text);
	}
	problems->count = list->count;
	problems->errors = list->errors + list->overflow;
	if (list->overflow)
		problems->list[problems->count++].text = xasprintf("%s: "
		    "too many problems: this may not be all of them", file);
	free(list->problem);
	*list = (struct problem_list){ 0 };
}
