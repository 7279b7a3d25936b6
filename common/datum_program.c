/* SPDX-License-Identifier: ISC */
/*
 * The datum program as a thing: is a blob one, and what its errors mean.
 * Used by every process that gets a program from a segment.  It must not
 * believe anything in the blob: what the interpreter relies on is checked here.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/datum.h"

_Static_assert(sizeof(struct datum_program) == 56, "shared layout");
_Static_assert(sizeof(struct datum_step) == 12, "shared layout");
_Static_assert(sizeof(struct datum_run) == 20, "shared layout");
_Static_assert(sizeof(struct datum_field) == 12, "shared layout");

static const char *
check_header(const struct datum_program *p, size_t size)
{
	uint64_t total;

	if (size < sizeof(*p))
		return "it is too small";
	if (p->magic != DATUM_MAGIC)
		return "it is not a datum program of this version";
	if (p->steps == 0 || p->steps > DATUM_STEPS_MAX)
		return "its number of steps is out of range";
	if (p->fields > DATUM_SIZE_MAX)
		return "its number of fields is out of range";
	if (p->runs == 0 || p->runs > 2 * DATUM_SIZE_MAX + 1)
		return "its number of runs is out of range";
	if (p->names_size > DATUM_NAMES_MAX)
		return "its names are too long";
	total = sizeof(*p) + (uint64_t)p->steps * sizeof(struct datum_step) +
	    (uint64_t)p->runs * sizeof(struct datum_run) +
	    (uint64_t)p->fields * sizeof(struct datum_field) + p->names_size;
	if (p->size != total || p->size > size)
		return "its size is not that of its parts";
	if (p->smallest == 0 || p->smallest > DATUM_SIZE_MAX)
		return "its smallest datum is out of range";
	if (p->framing.size > DATUM_FRAMING_MAX ||
	    p->framing.magic > p->framing.size ||
	    (p->framing.size > 0 && p->framing.size < DATUM_FRAMING_MIN))
		return "its framing is out of range";
	return NULL;
}

/*
 * The interpreter goes to the next step from all but RETURN, JUMP and NEXT, so
 * one of these must be the last; UNION uses the steps behind it.  Jumps lead
 * forward, so that only items and calls can repeat anything.
 */
static const char *
check_step(const struct datum_program *p, uint32_t i)
{
	const struct datum_step *step = &datum_steps(p)[i];
	uint32_t k;

	switch (step->op) {
	case DATUM_OP_RETURN:
	case DATUM_OP_NEXT:
		return NULL;
	case DATUM_OP_JUMP:
		if (step->target <= i || step->target >= p->steps)
			return "a jump leads nowhere";
		return NULL;
	case DATUM_OP_UNION:
		if (step->count == 0 || step->count >= p->steps - i)
			return "a union has no steps for its branches";
		for (k = 1; k <= step->count; k++)
			if (step[k].op != DATUM_OP_JUMP)
				return "a branch of a union does not jump";
		return NULL;
	case DATUM_OP_ITEMS:
		if (step->target <= i || step->target >= p->steps)
			return "an array leads nowhere";
		break;
	case DATUM_OP_CALL:
		if (step->target >= p->steps)
			return "a call leads nowhere";
		break;
	default:
		if (step->op >= DATUM_OPS)
			return "it has an unknown step";
		if (step->op != DATUM_OP_FIXED_ITEMS && step->count == 0)
			return "a step does nothing";
		if (step->count > DATUM_SIZE_MAX &&
		    step->op != DATUM_OP_ENUM)
			return "a step is larger than a datum";
		break;
	}
	return i + 1 < p->steps ? NULL : "its last step is not an end";
}

static bool
flags_valid(uint8_t flags)
{
	const unsigned known = DATUM_NULLABLE | DATUM_NULL_SECOND |
	    DATUM_INSTANT | DATUM_TIME | DATUM_ARRAY | DATUM_SAMPLES;

	if ((flags & ~known) != 0)
		return false;
	if ((flags & DATUM_NULL_SECOND) != 0 && (flags & DATUM_NULLABLE) == 0)
		return false;
	if ((flags & DATUM_ARRAY) != 0 ?
	    (flags & ~(DATUM_ARRAY | DATUM_SAMPLES)) != 0 :
	    (flags & DATUM_SAMPLES) != 0)
		return false;
	return (flags & DATUM_TIME) == 0 || (flags & DATUM_INSTANT) != 0;
}

static bool
method_valid(const struct datum_run *run)
{
	double range = datum_run_range(run);

	return run->method == 0 ? range == 0.0 :
	    decimate_possible(run->method - 1U, FOR_FIELDS, range) &&
	    decimate_rows[run->method - 1U].name != NULL;
}

/* A run of numbers holds the fields from *field on, and moves it. */
static const char *
check_run(const struct datum_program *p, uint32_t i, uint32_t *field)
{
	const struct datum_run *run = &datum_runs(p)[i];
	const struct datum_field *f = datum_fields(p) + *field;
	uint32_t k;

	if (run->omit > 1 || !method_valid(run))
		return "a run has an unknown method";
	if (run->type == DATUM_OTHER) {
		if (run->flags != 0 || run->count != 0 ||
		    run->first >= p->steps)
			return "a run has no steps";
		return NULL;
	}
	if (run->type >= DATUM_TYPES || !flags_valid(run->flags))
		return "a run has an unknown type";
	if ((run->flags & DATUM_ARRAY) != 0 && run->count != 1)
		return "a run of arrays";
	if (run->first != *field || run->count == 0 ||
	    run->count > p->fields - *field)
		return "a run has other fields than its own";
	for (k = 0; k < run->count; k++, f++)
		if (f->type != run->type || f->flags != run->flags ||
		    f->run != i)
			return "a field is not as its run";
	*field += run->count;
	return NULL;
}

static const char *
check_names(const struct datum_program *p)
{
	const struct datum_field *f = datum_fields(p);
	const char *names = (const char *)(f + p->fields);
	uint32_t i;

	if (p->fields > 0 &&
	    (p->names_size == 0 || names[p->names_size - 1] != '\0'))
		return "its names do not end";
	for (i = 0; i < p->fields; i++)
		if (f[i].name >= p->names_size)
			return "a field has no name";
	if (p->time_field != DATUM_NONE && (p->time_field >= p->fields ||
	    (f[p->time_field].flags & DATUM_TIME) == 0))
		return "its time field is not one";
	return NULL;
}

const char *
datum_program_check(const void *blob, size_t size)
{
	const struct datum_program *p = blob;
	const char *why;
	uint32_t i, field = 0;

	if ((uintptr_t)blob % _Alignof(struct datum_program) != 0)
		return "it is not aligned";
	if ((why = check_header(p, size)) != NULL)
		return why;
	for (i = 0; i < p->steps; i++)
		if ((why = check_step(p, i)) != NULL)
			return why;
	for (i = 0; i < p->runs; i++)
		if ((why = check_run(p, i, &field)) != NULL)
			return why;
	if (field != p->fields)
		return "a field is in no run";
	return check_names(p);
}

struct datum_program *
datum_program_load(const void *blob, size_t size, const char **why)
{
	struct datum_program *copy;

	*why = "it is too small";
	if (size < sizeof(*copy))
		return NULL;
	*why = "out of memory";
	if ((copy = malloc(size)) == NULL)
		return NULL;
	memcpy(copy, blob, size);
	if ((*why = datum_program_check(copy, size)) != NULL) {
		free(copy);
		return NULL;
	}
	return copy;
}

const char *
datum_error_text(enum datum_error error)
{
	static const char *const text[DATUM_ERRORS] = {
#define DATUM_ERROR_TEXT(constant, name, text)	[constant] = text,
		DATUM_ERROR_TABLE(DATUM_ERROR_TEXT)
#undef DATUM_ERROR_TEXT
	};

	if ((unsigned)error >= DATUM_ERRORS)
		return "unknown error";
	return text[error];
}

const char *
datum_error_name(enum datum_error error)
{
	static const char *const text[DATUM_ERRORS] = {
#define DATUM_ERROR_NAME(constant, name, text)	[constant] = name,
		DATUM_ERROR_TABLE(DATUM_ERROR_NAME)
#undef DATUM_ERROR_NAME
	};

	if ((unsigned)error >= DATUM_ERRORS)
		return "unknown";
	return text[error];
}
