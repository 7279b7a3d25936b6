/* SPDX-License-Identifier: ISC */
/*
 * The methods with reducers of their own, on samples in raw payloads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "decimator/sampler.h"

static void
sample(enum sample_type type, enum decimate_method method, double range,
    const void *data, size_t size, const void *wanted, size_t wanted_size)
{
	struct sample_config config = { .type = type, .channels = 1 };
	struct sampler *s;
	const uint8_t *out;

	assert_null(sampler_fault(&config, method, range, 2));
	s = sampler_new(&config, method, range, 2);
	assert_false(sampler_push(s, data, size / 2));
	assert_true(sampler_push(s, (const uint8_t *)data + size / 2,
	    size / 2));
	assert_int_equal(sampler_outputs(s), 1);
	out = sampler_output(s, 0, &size);
	assert_int_equal(size, wanted_size);
	assert_memory_equal(out, wanted, size);
	sampler_free(s);
}

static void
test_samples(void **state ATTR_UNUSED)
{
	const struct sample_config config = { .type = SAMPLE_U8,
	    .channels = 1 };
	const int8_t bytes[] = { 100, -56, 127, -128 };
	const int8_t byte_means[] = { -106, -128 };
	const uint8_t big[] = { 0x3f, 0x80, 0, 0, 0x40, 0x40, 0, 0 };
	const uint8_t one[] = { 0x3f, 0x80, 0, 0 };

	/* 150 is -106 there, and 127.5 is -128. */
	sample(SAMPLE_S8, METHOD_CIRCULAR, 256, bytes, sizeof(bytes),
	    byte_means, sizeof(byte_means));
	sample(SAMPLE_F32BE, METHOD_STDDEV, 0, big, sizeof(big), one,
	    sizeof(one));
	sample(SAMPLE_U8, METHOD_STDDEV, 0, "\1\3\377\1", 4, "\1\177", 2);
	assert_non_null(sampler_fault(&config, METHOD_CIRCULAR, 0, 2));
	assert_non_null(sampler_fault(&config, METHOD_MEAN, 360, 2));
	assert_non_null(sampler_fault(&config, METHOD_SUMMARY, 0, 2));
	assert_non_null(sampler_fault(&config, METHODS, 0, 2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
