/* SPDX-License-Identifier: ISC */
/*
 * JSON that metrics are made of, read beside jansson: what the one takes the
 * other does, too, and they read the same.  MCRELAY_TEST_SEED and
 * MCRELAY_TEST_ROUNDS choose the random changes of texts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "common/util.h"
#include "metrics/document.h"

#define ROUNDS	200000UL

static const char *const texts[] = {
	"{}", "[]", "[[],{},[{}]]", " [ 1 , 2 ]\r\n\t", "{\"a\" : null}",
	"{\"version\":\"0.1.0\",\"pid\":7,\"channels\":[{\"name\":\"a\","
	    "\"reasons\":[],\"ledger\":{\"received\":9223372036854775807,"
	    "\"x\":-9223372036854775808},\"archive\":true,\"stuck\":false,"
	    "\"outputs\":[{\"port\":5,\"relayed\":0}]},{\"name\":\"b\"}]}",
	"[0,-0,1.5,-1.5e3,1E+2,1e-2,0.0]", "[true,false,null]",
	"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u00e9\\u20ac\\uD83d\\ude00\","
	    "\"\",\"Gr\xc3\xb6\xc3\x9f""e \xf0\x9f\x98\x80\"]",
	"{\"\":1,\"\\u00fc\":2,\"a\\nb\":3}",
};

static const char *const bad[] = {
	"", " ", "{", "[", "]", "[1", "[1,", "[1,]", "[,1]", "{\"a\"}",
	"{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "[1 2]", "[1]x", "[] []",
	"[01]", "[-]", "[+1]", "[1.]", "[.5]", "[1e]", "[1e+]", "[0x1]",
	"[tru]", "[truex]", "[nul]", "[\"]", "[\"\\\"]", "[\"\\x\"]",
	"[\"\\u12\"]", "[\"\\u00g0\"]", "[\"\\u0000\"]", "[\"\\ud800\"]",
	"[\"\\ud800x\"]", "[\"\\ud800\\u0020\"]", "[\"\\udc00\"]",
	"[\"\n\"]", "[\"\xff\"]", "[\"\xed\xa0\x80\"]", "[1}", "{\"a\":1]",
};

static void	compare(const struct node *node, const json_t *json);

static void
compare_members(const struct node *node, json_t *json)
{
	const struct node *in;
	size_t count = 0;

	NODE_FOREACH(in, node) {
		count++;
		assert_non_null(in->name);
		/* Of two with one name jansson has the last. */
		if (node_get(node, in->name) == in &&
		    node_count(node) == json_object_size(json))
			compare(in, json_object_get(json, in->name));
	}
	assert_int_equal(node_count(node), count);
	assert_true(count >= json_object_size(json));
}

static void
compare_elements(const struct node *node, const json_t *json)
{
	const struct node *in;
	size_t i = 0;

	NODE_FOREACH(in, node) {
		assert_null(in->name);
		compare(in, json_array_get(json, i++));
	}
	assert_int_equal(i, json_array_size(json));
}

static void
compare(const struct node *node, const json_t *json)
{
	assert_non_null(json);
	switch (node->type) {
	case NODE_OBJECT:
		assert_true(json_is_object(json));
		compare_members(node, (json_t *)(uintptr_t)json);
		break;
	case NODE_ARRAY:
		assert_true(json_is_array(json));
		compare_elements(node, json);
		break;
	case NODE_TEXT:
		assert_string_equal(node_text(node), json_string_value(json));
		break;
	case NODE_NUMBER:
		assert_true(json_is_integer(json));
		assert_int_equal(node_number(node), json_integer_value(json));
		break;
	case NODE_TRUTH:
		assert_true(json_is_boolean(json));
		assert_int_equal(node_number(node), json_is_true(json));
		break;
	case NODE_OTHER:
		assert_true(json_is_null(json) || json_is_real(json));
		break;
	}
}

/* Whether it is JSON; the text ends where memory that may be touched does. */
static bool
check(const char *text, size_t size)
{
	char *exact = xmalloc(size + 1);
	struct document *document;
	json_error_t error;
	json_t *json;
	bool taken;

	memcpy(exact, text, size);
	json = json_loadb(exact, size, JSON_DECODE_ANY, &error);
	exact = xrealloc(exact, MAX_OF(size, (size_t)1));
	document = document_read(exact, size);
	free(exact);
	taken = document != NULL;
	if (json != NULL && taken)
		compare(document->node, json);
	else if (taken && json_error_code(&error) ==
	    json_error_numeric_overflow)
		;
	/* A NUL outside of strings is an end to jansson. */
	else if (taken || (json != NULL && memchr(text, '\0', size) == NULL))
		fail_msg("%s takes this: %.*s", taken ? "only the document" :
		    "only jansson", (int)size, text);
	document_free(document);
	json_decref(json);
	return taken;
}

static void
test_texts(void **state ATTR_UNUSED)
{
	size_t i;

	for (i = 0; i < NITEMS(texts); i++)
		assert_true(check(texts[i], strlen(texts[i])));
	for (i = 0; i < NITEMS(bad); i++)
		if (check(bad[i], strlen(bad[i])))
			fail_msg("taken: %s", bad[i]);
	assert_false(check("[\"a\0b\"]", 7));
	assert_true(check("7", 1));
}

static void
test_deep(void **state ATTR_UNUSED)
{
	char text[100000];

	memset(text, '[', sizeof(text));
	assert_null(document_read(text, sizeof(text)));
}

static void
test_missing(void **state ATTR_UNUSED)
{
	assert_null(node_first(NULL));
	assert_null(node_get(NULL, "a"));
	assert_null(node_text(NULL));
	assert_int_equal(node_number(NULL), 0);
	assert_int_equal(node_count(NULL), 0);
	assert_false(node_is_number(NULL));
}

static unsigned long
number(const char *variable, unsigned long otherwise)
{
	const char *value = getenv(variable);

	return value == NULL ? otherwise : strtoul(value, NULL, 10);
}

/* A byte becomes another, goes, or comes. */
static size_t
change(char *text, size_t size)
{
	static const char likely[] = "{}[]\",:\\u0019-.eEtfn \n\xc3\xa9";
	size_t at = (size_t)random() % (size + 1);
	char byte = random() % 4 == 0 ? (char)random() :
	    likely[(size_t)random() % sizeof(likely)];

	switch (random() % 3) {
	case 0:
		if (at < size)
			text[at] = byte;
		return size;
	case 1:
		if (at == size)
			return size;
		memmove(text + at, text + at + 1, size - at - 1);
		return size - 1;
	default:
		memmove(text + at + 1, text + at, size - at);
		text[at] = byte;
		return size + 1;
	}
}

static void
test_changed(void **state ATTR_UNUSED)
{
	unsigned long rounds = number("MCRELAY_TEST_ROUNDS", ROUNDS), taken = 0;
	unsigned long seed = number("MCRELAY_TEST_SEED", 1);
	char text[1024];
	size_t size;

	print_message("seed %lu, %lu rounds\n", seed, rounds);
	srandom((unsigned)seed);
	for (; rounds > 0; rounds--) {
		const char *from = texts[(size_t)random() % NITEMS(texts)];
		long changes = random() % 4;

		size = strlen(from);
		memcpy(text, from, size);
		for (; changes >= 0; changes--)
			size = change(text, size);
		taken += check(text, size);
	}
	assert_true(taken > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
