/* SPDX-License-Identifier: ISC */
/*
 * Parsing Canonical Form and CRC-64-AVRO: the vectors that the Avro project
 * publishes for all languages (share/test/data/schema-tests.txt, from its
 * Java implementation), and what they leave out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/util.h"
#include "schema/schema.h"

static const struct {
	const char	*canonical;
	int64_t		 fingerprint;
} vectors[] = {
	{ "\"null\"", INT64_C(7195948357588979594) },
	{ "\"boolean\"", INT64_C(-6970731678124411036) },
	{ "\"int\"", INT64_C(8247732601305521295) },
	{ "\"long\"", INT64_C(-3434872931120570953) },
	{ "\"float\"", INT64_C(5583340709985441680) },
	{ "\"double\"", INT64_C(-8181574048448539266) },
	{ "\"bytes\"", INT64_C(5746618253357095269) },
	{ "\"string\"", INT64_C(-8142146995180207161) },
	{ "[]", INT64_C(-1241056759729112623) },
	{ "[\"int\"]", INT64_C(-5232228896498058493) },
	{ "[\"int\",\"boolean\"]", INT64_C(5392556393470105090) },
	{ "{\"name\":\"foo\",\"type\":\"record\",\"fields\":[]}",
	    INT64_C(-4824392279771201922) },
	{ "{\"name\":\"foo\",\"type\":\"record\",\"fields\":["
	    "{\"name\":\"f1\",\"type\":\"boolean\"},"
	    "{\"name\":\"f2\",\"type\":\"int\"}]}",
	    INT64_C(-4860222112080293046) },
	{ "{\"name\":\"x.y.z.foo\",\"type\":\"enum\","
	    "\"symbols\":[\"A1\",\"A2\"]}", INT64_C(-4448647247586288245) },
	{ "{\"name\":\"x.y.z.foo\",\"type\":\"fixed\",\"size\":32}",
	    INT64_C(-3064184465700546786) },
	{ "{\"type\":\"array\",\"items\":\"null\"}",
	    INT64_C(-589620603366471059) },
	{ "{\"type\":\"map\",\"values\":\"string\"}",
	    INT64_C(-8732877298790414990) },
	{ "{\"name\":\"PigValue\",\"type\":\"record\",\"fields\":["
	    "{\"name\":\"value\",\"type\":[\"null\",\"int\",\"long\","
	    "\"PigValue\"]}]}", INT64_C(-1759257747318642341) },
};

static void
test_fingerprints(void **state ATTR_UNUSED)
{
	size_t i;

	for (i = 0; i < NITEMS(vectors); i++)
		assert_int_equal(schema_fingerprint(vectors[i].canonical),
		    (uint64_t)vectors[i].fingerprint);
}

static const struct {
	const char	*schema;
	const char	*canonical;
} forms[] = {
	{ "\"int\"", "\"int\"" },
	{ "{\"type\" : \"int\"}", "\"int\"" },
	{ "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}",
	    "\"long\"" },
	{ "[ \"null\", {\"type\":\"boolean\"} ]", "[\"null\",\"boolean\"]" },
	{ "{\"fields\":[{\"type\":\"boolean\",\"aliases\":[],"
	    "\"name\":\"f1\",\"default\":true},{\"order\":\"descending\","
	    "\"name\":\"f2\",\"doc\":\"Hello\",\"type\":\"int\"}],"
	    "\"type\":\"record\",\"name\":\"foo\",\"aliases\":[\"bar\"]}",
	    "{\"name\":\"foo\",\"type\":\"record\",\"fields\":["
	    "{\"name\":\"f1\",\"type\":\"boolean\"},"
	    "{\"name\":\"f2\",\"type\":\"int\"}]}" },
	{ "{\"namespace\":\"x.y.z\",\"type\":\"enum\",\"name\":\"foo\","
	    "\"doc\":\"foo bar\",\"symbols\":[\"A1\",\"A2\"],"
	    "\"default\":\"A2\"}",
	    "{\"name\":\"x.y.z.foo\",\"type\":\"enum\","
	    "\"symbols\":[\"A1\",\"A2\"]}" },
	{ "{\"type\":\"fixed\",\"size\":15,\"name\":\"a.b.foo\","
	    "\"namespace\":\"x.y\"}",
	    "{\"name\":\"a.b.foo\",\"type\":\"fixed\",\"size\":15}" },
	{ "{\"items\":{\"values\":\"string\",\"type\":\"map\"},"
	    "\"type\":\"array\"}",
	    "{\"type\":\"array\",\"items\":{\"type\":\"map\","
	    "\"values\":\"string\"}}" },
	/* Defined once, named then; namespaces inherited and given up; a
	 * name that an escape spells. */
	{ "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"n\","
	    "\"fields\":[{\"name\":\"\\u0061\",\"type\":{\"type\":\"fixed\","
	    "\"name\":\"F\",\"size\":1}},{\"name\":\"b\",\"type\":\"F\"},"
	    "{\"name\":\"c\",\"type\":{\"type\":\"enum\",\"name\":\"E\","
	    "\"namespace\":\"\",\"symbols\":[\"S\"]}},"
	    "{\"name\":\"d\",\"type\":[\"null\",\"R\",\"n.F\"]}]}",
	    "{\"name\":\"n.R\",\"type\":\"record\",\"fields\":["
	    "{\"name\":\"a\",\"type\":{\"name\":\"n.F\",\"type\":\"fixed\","
	    "\"size\":1}},{\"name\":\"b\",\"type\":\"n.F\"},"
	    "{\"name\":\"c\",\"type\":{\"name\":\"E\",\"type\":\"enum\","
	    "\"symbols\":[\"S\"]}},"
	    "{\"name\":\"d\",\"type\":[\"null\",\"n.R\",\"n.F\"]}]}" },
};

static void
test_forms(void **state ATTR_UNUSED)
{
	struct schema_result result;
	size_t i;

	for (i = 0; i < NITEMS(forms); i++) {
		assert_true(schema_compile(forms[i].schema,
		    strlen(forms[i].schema), NULL, &result));
		assert_string_equal(result.canonical, forms[i].canonical);
		schema_result_free(&result);
	}
	assert_false(schema_compile("\"null\"", 6, NULL, &result));
	assert_null(result.canonical);
	schema_result_free(&result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fingerprints),
		cmocka_unit_test(test_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
