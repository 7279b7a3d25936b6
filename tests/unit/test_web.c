/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-web's parts that know nothing of HTTP: who somebody says they are,
 * the keyed hash, guesses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/util.h"
#include "web/basic.h"
#include "web/guesses.h"
#include "web/keyed.h"

/*** keyed.h ***/

/* From the authors' vectors.h: the key 00 01 .. 0f, and texts 00 01 .. of
 * these sizes. */
static void
test_vectors(void **state)
{
	static const struct {
		size_t	size;
		uint8_t	hash[KEYED_SIZE];
	} vectors[] = {
		{0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
		    0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93}},
		{1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44,
		    0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45}},
	};
	uint8_t key[KEYED_SIZE], text[64], hash[KEYED_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	for (i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)i;
	for (i = 0; i < NITEMS(vectors); i++) {
		keyed_hash(key, text, vectors[i].size, hash);
		assert_memory_equal(hash, vectors[i].hash, sizeof(hash));
	}
}

/* Each bit of key and text, and the size, changes it. */
static void
test_bits(void **state)
{
	uint8_t key[KEYED_SIZE] = {1}, text[40] = {2};
	uint8_t hash[KEYED_SIZE], other[KEYED_SIZE];
	size_t size, bit;

	(void)state;
	for (size = 0; size < sizeof(text); size++) {
		keyed_hash(key, text, size, hash);
		keyed_hash(key, text, size + 1, other);
		assert_memory_not_equal(hash, other, sizeof(hash));
		for (bit = 0; bit < 8 * size; bit++) {
			text[bit / 8] ^= (uint8_t)(1U << bit % 8);
			keyed_hash(key, text, size, other);
			text[bit / 8] ^= (uint8_t)(1U << bit % 8);
			assert_memory_not_equal(hash, other, sizeof(hash));
		}
		for (bit = 0; bit < 8 * sizeof(key); bit++) {
			key[bit / 8] ^= (uint8_t)(1U << bit % 8);
			keyed_hash(key, text, size, other);
			key[bit / 8] ^= (uint8_t)(1U << bit % 8);
			assert_memory_not_equal(hash, other, sizeof(hash));
		}
	}
}

/*** basic.h ***/

static void
test_basic(void **state)
{
	static const struct {
		const char	*header;
		const char	*name;		/* NULL: nobody */
		const char	*password;
	} cases[] = {
		{"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin",
		    "open sesame"},	/* RFC 7617 */
		{"Basic dGVzdDoxMjPCow==", "test", "123\302\243"},
		{"basic   YTpiOmM ", "a", "b:c"},
		{"Basic Og==", "", ""},
		{"Basic OmI=", "", "b"},
		{"Basic YTo=", "a", ""},
		{"Basic", NULL, NULL}, {"Basic ", NULL, NULL},
		{"BasicYTpi", NULL, NULL}, {"Digest YTpi", NULL, NULL},
		{"Basic YWI=", NULL, NULL},		/* no colon */
		{"Basic YTpi x", NULL, NULL}, {"Basic YTpi=x", NULL, NULL},
		{"Basic YTp?", NULL, NULL}, {"Basic Y", NULL, NULL},
		{"Basic YQA6Yg==", NULL, NULL},		/* a NUL */
		{"", NULL, NULL}, {NULL, NULL, NULL},
	};
	struct credentials credentials;
	size_t i;

	(void)state;
	for (i = 0; i < NITEMS(cases); i++) {
		if (basic_parse(cases[i].header, &credentials) !=
		    (cases[i].name != NULL))
			fail_msg("%s", cases[i].header);
		if (cases[i].name == NULL)
			continue;
		assert_string_equal(credentials.name, cases[i].name);
		assert_string_equal(credentials.password, cases[i].password);
	}
}

/* "aaa...:bbb..." in base64, of any size: the longest that is taken is. */
static void
test_longest(void **state)
{
	static char header[4096];
	struct credentials credentials;
	size_t triples;
	bool good;

	(void)state;
	for (triples = 1; triples < 900; triples++) {
		/* aaa times so many, then a:b and bbb times as many. */
		size_t i, length = (size_t)snprintf(header, sizeof(header),
		    "Basic ");

		for (i = 0; i < triples; i++)
			memcpy(header + length + 4 * i, "YWFh", 4);
		memcpy(header + length + 4 * i, "YTpi", 5);
		good = basic_parse(header, &credentials);
		assert_int_equal(good, 3 * triples + 1 < WEB_NAME_SIZE);
	}
}

/*** guesses.h ***/

static void
test_guesses(void **state)
{
	uint8_t one[KEYED_SIZE] = {1}, other[KEYED_SIZE] = {2};
	uint64_t now = 1000 * NS_PER_S;
	int i;

	(void)state;
	for (i = 0; i < GUESSES_MAX; i++) {
		assert_true(guesses_left(one, now));
		guesses_count(one, now, 1);
	}
	assert_false(guesses_left(one, now));
	assert_true(guesses_left(other, now));
	guesses_count(one, now, -1);
	assert_true(guesses_left(one, now));
	guesses_count(one, now, 1);
	now += GUESSES_S * NS_PER_S - 1;
	assert_false(guesses_left(one, now));
	now += 1;
	assert_true(guesses_left(one, now));
	/* However many: it is over after some time. */
	for (i = 0; i < 1000; i++)
		guesses_count(one, now, 1);
	now += (GUESSES_MAX + 1) * (uint64_t)GUESSES_S * NS_PER_S;
	assert_true(guesses_left(one, now));
	now += 10000 * NS_PER_S;
	assert_true(guesses_made(one, now) == 0.);
}

/* Of too many those are forgotten who have made the fewest. */
static void
test_forgotten(void **state)
{
	uint8_t much[KEYED_SIZE] = {3}, each[KEYED_SIZE] = {4};
	uint64_t now = 100000 * NS_PER_S;
	unsigned i;

	(void)state;
	for (i = 0; i < GUESSES_MAX; i++)
		guesses_count(much, now, 1);
	for (i = 0; i < 5000; i++) {
		memcpy(each + 4, &i, sizeof(i));
		guesses_count(each, now, 1);
	}
	assert_false(guesses_left(much, now));
	assert_true(guesses_made(each, now) == 1.);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_basic),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_guesses),
		cmocka_unit_test(test_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
