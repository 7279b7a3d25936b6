/* SPDX-License-Identifier: ISC */
/*
 * What it costs to check and to reduce datums: the datum program and the
 * reducers beside avro-c and beside a flat loop, on one core, in one run.
 *
 * Each figure is the best of several rounds, in nanoseconds a field, because
 * what disturbs a round only ever makes it slower.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/decimate.h"
#include "common/datum.h"
#include "common/log.h"
#include "common/util.h"
#include "decimator/reduce.h"

#define PASSES		10U	/* over all of them, a round */
#define ROUNDS		12U

typedef void	job(struct subject *s, void *state);

static volatile double	sink;

/*** What is measured. ***/

static uint64_t
next_random(void)
{
	static uint64_t x = UINT64_C(0x9e3779b97f4a7c15);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static size_t
put_value(uint8_t *at, const char *type)
{
	uint64_t r = next_random();
	double real = (double)(int64_t)r / 1e15;
	float narrow = (float)real;
	size_t n;

	if (strcmp(type, "double") == 0) {
		memcpy(at, &real, sizeof(real));
		return sizeof(real);
	}
	if (strcmp(type, "float") == 0) {
		memcpy(at, &narrow, sizeof(narrow));
		return sizeof(narrow);
	}
	/* Numbers of one to five bytes, texts of up to 30. */
	if (strcmp(type, "string") != 0)
		return datum_put_long(at, (int64_t)(r >> 32) >> (r % 32));
	n = datum_put_long(at, (int64_t)(r % 31));
	memset(at + n, 'a', r % 31);
	return n + r % 31;
}

static void
subject_init(struct subject *s, const char *type)
{
	size_t size;
	unsigned i, k;
	FILE *f;

	s->type = type;
	f = open_memstream(&s->text, &size);
	if (f == NULL)
		fatal("memory");
	fputs("{\"type\":\"record\",\"name\":\"R\",\"fields\":[", f);
	for (i = 0; i < FIELDS; i++)
		fprintf(f, "%s{\"name\":\"f%u\",\"type\":\"%s\"}",
		    i > 0 ? "," : "", i, type);
	fputs("]}", f);
	fclose(f);
	if (!schema_compile(s->text, strlen(s->text), NULL, &s->schema))
		fatalx("%s", s->schema.error);
	if (avro_schema_from_json_length(s->text, strlen(s->text),
	    &s->avro) != 0)
		fatalx("%s", avro_strerror());
	s->data = xmalloc(DATUMS * FIELDS * 32);
	s->size = 0;
	for (k = 0; k < DATUMS; k++) {
		for (i = 0; i < FIELDS; i++)
			s->size += put_value(s->data + s->size, type);
		s->end[k] = s->size;
	}
}

static void
subject_free(struct subject *s)
{
	avro_schema_decref(s->avro);
	schema_result_free(&s->schema);
	free(s->data);
	free(s->text);
}

/*** Jobs: each goes over all datums once. ***/

static void
read_generic(struct subject *s, void *state)
{
	avro_reader_t reader = avro_reader_memory((const char *)s->data,
	    (int64_t)s->size);
	avro_value_t *value = state;
	unsigned k;

	for (k = 0; k < DATUMS; k++)
		if (avro_value_read(reader, value) != 0)
			fatalx("%s", avro_strerror());
	avro_reader_free(reader);
}

static void
skip_data(struct subject *s, void *state ATTR_UNUSED)
{
	avro_reader_t reader = avro_reader_memory((const char *)s->data,
	    (int64_t)s->size);
	unsigned k;

	for (k = 0; k < DATUMS; k++)
		if (avro_skip_data(reader, s->avro) != 0)
			fatalx("%s", avro_strerror());
	avro_reader_free(reader);
}

static void
validate(struct subject *s, void *state ATTR_UNUSED)
{
	size_t begin = 0;
	uint32_t datums;
	unsigned k;

	for (k = 0; k < DATUMS; begin = s->end[k++])
		if (datum_validate(s->schema.program, s->data + begin,
		    s->end[k] - begin, &datums) != DATUM_OK)
			fatalx("a datum is none");
}

static void
reduce(struct subject *s, void *state)
{
	static uint8_t out[65536];
	static uint64_t now_ns = UINT64_C(1795212345678901234);
	struct reducer *r = state;
	size_t begin = 0, used;
	unsigned k, i;

	for (k = 0; k < DATUMS; begin = s->end[k++]) {
		now_ns += NS_PER_S / RATE;
		if (!reducer_look(r, s->data + begin, s->end[k] - begin,
		    &used))
			fatalx("a datum is none");
		if (reducer_take(r, s->data + begin, now_ns, false) !=
		    REDUCER_FULL)
			continue;
		for (i = 0; i < reducer_outputs(r); i++)
			if (reducer_emit(r, i, out, sizeof(out)) == 0)
				fatalx("an output is too large");
	}
}

struct flat {
	double	sum[FIELDS], square[FIELDS], low[FIELDS], high[FIELDS];
};

/* All of mean, rms, minimum and maximum, as it would be written down. */
static void
flat_loop(struct subject *s, void *state)
{
	struct flat *f = state;
	const uint8_t *data = s->data;
	unsigned k, i;
	double x;

	for (k = 0; k < DATUMS; k++, data += sizeof(double) * FIELDS)
		for (i = 0; i < FIELDS; i++) {
			memcpy(&x, data + i * sizeof(x), sizeof(x));
			f->sum[i] += x;
			f->square[i] += x * x;
			f->low[i] = x < f->low[i] ? x : f->low[i];
			f->high[i] = x > f->high[i] ? x : f->high[i];
		}
	sink += f->sum[0] + f->square[1] + f->low[2] + f->high[3];
}

/*** Measuring. ***/

double
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds a field. */
static double
measure(struct subject *s, job *function, void *state)
{
	double begin, took, best = (double)INFINITY;
	unsigned round, pass;

	for (round = 0; round < ROUNDS; round++) {
		begin = cpu_ns();
		for (pass = 0; pass < PASSES; pass++)
			function(s, state);
		took = cpu_ns() - begin;
		best = took < best ? took : best;
	}
	return best / ((double)PASSES * DATUMS * FIELDS);
}

static void
row(const char *type, const char *what, double ns)
{
	printf("| %-7s | %-28s | %9.3f | %10.0f |\n", type, what, ns,
	    ns * FIELDS);
	fflush(stdout);
}

static double
measure_reducer(struct subject *s, enum decimate_method method)
{
	struct reducer *r = reducer_new(s->schema.program, method, EVERY);
	double ns = measure(s, reduce, r);

	reducer_free(r);
	return ns;
}

static double
measure_avro(struct subject *s)
{
	avro_value_iface_t *class = avro_generic_class_from_schema(s->avro);
	avro_value_t value;
	double ns;

	if (avro_generic_value_new(class, &value) != 0)
		fatalx("%s", avro_strerror());
	ns = measure(s, read_generic, &value);
	avro_value_decref(&value);
	avro_value_iface_decref(class);
	return ns;
}

static const char *const names[METHODS] = {
#define NAME(constant, name, reals, integers, yields, where)		\
	[constant] = ((where) & (FOR_FIELDS | TAKES_RANGE)) !=		\
	    FOR_FIELDS ? NULL :						\
	    (yields) == YIELD_SUMMARY ? "summary" : (name),
	DECIMATE_TABLE(NAME)
#undef NAME
};

/* Whole channels. */
static void
measure_rings(void)
{
	struct subject s;
	double ns;
	int method;

	subject_init(&s, "double");
	printf("\nChannels of %u doubles, %u datums a second\n\n"
	    "| method  | ns a datum | %% of a core | channels a core |\n"
	    "|---|---:|---:|---:|\n", FIELDS, RATE);
	for (method = METHOD_PICK; method < METHODS; method++) {
		if (names[method] == NULL)
			continue;
		ns = rings_measure(&s, (enum decimate_method)method);
		printf("| %-7s | %10.0f | %11.2f | %15.0f |\n", names[method],
		    ns, ns * RATE / 1e7, 1e9 / (ns * RATE));
		fflush(stdout);
	}
	subject_free(&s);
}

static void
measure_all(const char *type)
{
	static struct flat flat;
	struct subject s;
	char what[64];
	int method;

	subject_init(&s, type);
	row(type, "avro-c, generic read", measure_avro(&s));
	row(type, "avro-c, skip", measure(&s, skip_data, NULL));
	row(type, "mcrelay, validate", measure(&s, validate, NULL));
	for (method = METHOD_PICK; method < METHODS; method++) {
		/* A string has none of them. */
		if (names[method] == NULL || (method != METHOD_PICK &&
		    strcmp(type, "string") == 0))
			continue;
		snprintf(what, sizeof(what), "mcrelay, %s", names[method]);
		row(type, what, measure_reducer(&s,
		    (enum decimate_method)method));
	}
	if (strcmp(type, "double") == 0)
		row(type, "a flat loop, all but times",
		    measure(&s, flat_loop, &flat));
	subject_free(&s);
}

int
main(int argc, char **argv)
{
	static const char *const types[] = { "double", "float", "long",
	    "string" };
	size_t i;

	printf("Records of %u fields, windows of %u datums\n\n"
	    "| fields  | what                         | ns a field | "
	    "ns a datum |\n|---|---|---:|---:|\n", FIELDS, EVERY);
	for (i = 0; i < NITEMS(types); i++)
		if (argc < 2 || strcmp(argv[1], types[i]) == 0)
			measure_all(types[i]);
	if (argc < 2 || strcmp(argv[1], "rings") == 0)
		measure_rings();
	return 0;
}
