/* SPDX-License-Identifier: ISC */
/*
 * Tables of configurations that are wrong.  `expected' is what
 * support_problems() makes of `text': every problem, in order.  Each table
 * ends with an entry whose name is NULL.
 */
#ifndef MCRELAY_CONF_BAD_H
#define MCRELAY_CONF_BAD_H

struct bad_case {
	const char	*name;
	const char	*text;
	const char	*expected;
};

/* Beginnings that are right, so that one thing is wrong. */
#define CHANNEL		"channels:\n- name: a\n  listen: {port: 5000}\n"
#define AVRO_CHANNEL	\
	CHANNEL "  payload: {format: avro, schema: accel.avsc}\n"
#define LISTEN		"channels:\n- name: a\n  listen:\n    port: 5000\n"

extern const struct bad_case	bad_file_cases[];
extern const struct bad_case	bad_channel_cases[];
extern const struct bad_case	bad_input_cases[];
extern const struct bad_case	bad_relay_cases[];
extern const struct bad_case	bad_archive_cases[];
extern const struct bad_case	bad_output_cases[];
extern const struct bad_case	bad_forward_cases[];

#endif /* MCRELAY_CONF_BAD_H */
