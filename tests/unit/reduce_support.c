/* SPDX-License-Identifier: ISC */
/*
 * Windows through a reducer.  Tests only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/reduce_support.h"

uint8_t	reduce_output[REDUCER_OUTPUTS_MAX][REDUCE_OUTPUT_MAX];
size_t	reduce_size[REDUCER_OUTPUTS_MAX];

struct schema_result
reduce_compile(const char *text)
{
	struct schema_result result;

	if (!schema_compile(text, strlen(text), NULL, &result))
		fail_msg("%s", result.error);
	return result;
}

char *
reduce_schema(const char *type, unsigned fields)
{
	char *text;
	size_t size;
	FILE *f;
	unsigned i;

	f = open_memstream(&text, &size);
	fputs("{\"type\":\"record\",\"name\":\"R\",\"fields\":[", f);
	for (i = 0; i < fields; i++)
		fprintf(f, "%s{\"name\":\"f%u\",\"type\":\"%s\"}",
		    i > 0 ? "," : "", i, type);
	fputs("]}", f);
	fclose(f);
	return text;
}

void
reduce_window(struct reducer *r, const struct avro_bytes *data)
{
	enum reducer_status status = REDUCER_MORE;
	size_t at, used;
	unsigned i;

	for (at = 0; at < data->size; at += used) {
		assert_int_equal(status, REDUCER_MORE);
		status = reducer_push(r, data->data + at, data->size - at,
		    &used);
		assert_int_not_equal(status, REDUCER_INVALID);
	}
	assert_int_equal(status, REDUCER_FULL);
	for (i = 0; i < reducer_outputs(r); i++) {
		reduce_size[i] = reducer_emit(r, i, reduce_output[i],
		    REDUCE_OUTPUT_MAX);
		assert_true(reduce_size[i] > 0);
	}
}
