/* SPDX-License-Identifier: ISC */
/*
 * Samples in raw payloads: what the configuration can say of them
 * (payload.samples), for supervisor and decimator.
 *
 *	+--------+-------+-------+-----+
 *	| header | frame | frame | ... |	`offset' bytes, then frames of
 *	+--------+-------+-------+-----+	`channels' samples each
 */
#ifndef MCRELAY_SAMPLES_H
#define MCRELAY_SAMPLES_H

#include <stdint.h>

#define SAMPLE_CHANNELS_MAX	4096
/* fir: every * channels; the history of all channels is in memory. */
#define SAMPLE_FIR_MAX		65536U

/* X(constant, name in the configuration, bytes, signed, float, big end) */
#define SAMPLE_TYPE_TABLE(X)						\
	X(SAMPLE_U8, "u8", 1, 0, 0, 0)					\
	X(SAMPLE_S8, "s8", 1, 1, 0, 0)					\
	X(SAMPLE_U16LE, "u16le", 2, 0, 0, 0)				\
	X(SAMPLE_U16BE, "u16be", 2, 0, 0, 1)				\
	X(SAMPLE_S16LE, "s16le", 2, 1, 0, 0)				\
	X(SAMPLE_S16BE, "s16be", 2, 1, 0, 1)				\
	X(SAMPLE_S24LE, "s24le", 3, 1, 0, 0)				\
	X(SAMPLE_S24BE, "s24be", 3, 1, 0, 1)				\
	X(SAMPLE_U32LE, "u32le", 4, 0, 0, 0)				\
	X(SAMPLE_U32BE, "u32be", 4, 0, 0, 1)				\
	X(SAMPLE_S32LE, "s32le", 4, 1, 0, 0)				\
	X(SAMPLE_S32BE, "s32be", 4, 1, 0, 1)				\
	X(SAMPLE_F32LE, "f32le", 4, 1, 1, 0)				\
	X(SAMPLE_F32BE, "f32be", 4, 1, 1, 1)				\
	X(SAMPLE_F64LE, "f64le", 8, 1, 1, 0)				\
	X(SAMPLE_F64BE, "f64be", 8, 1, 1, 1)

enum sample_type {
#define SAMPLE_CONSTANT(constant, name, bytes, is_signed, is_float, big)\
	constant,
	SAMPLE_TYPE_TABLE(SAMPLE_CONSTANT)
#undef SAMPLE_CONSTANT
	SAMPLE_TYPES
};

struct sample_config {
	uint32_t	type;		/* enum sample_type */
	uint32_t	channels;	/* 0: nothing is known of samples */
	uint32_t	offset;		/* bytes of header */
	uint32_t	reserved;
};

#endif /* MCRELAY_SAMPLES_H */
