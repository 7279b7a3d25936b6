# SPDX-License-Identifier: ISC
# Included by the Makefile.am of the top directory.

#
# bench: what mcrelay is compared with, and sources for both.  Not installed.
#
noinst_PROGRAMS += bench/contender bench/source
bench_contender_SOURCES = bench/contender.c bench/contender.h \
	bench/batch.c bench/classic.c bench/floor.c
bench_contender_LDADD = libcommon.a
noinst_PROGRAMS += bench/loop
bench_loop_SOURCES = bench/loop.c bench/contender.h
bench_loop_LDADD = libcommon.a
bench_source_SOURCES = bench/source.c bench/source.h bench/nic.c
bench_source_LDADD = libcommon.a
noinst_PROGRAMS += bench/folios
bench_folios_SOURCES = bench/folios.c
bench_folios_LDADD = libcommon.a
noinst_PROGRAMS += bench/pool
bench_pool_SOURCES = bench/pool.c
bench_pool_LDADD = libtools.a libcommon.a $(LIBBSD_LIBS) -lm
noinst_PROGRAMS += bench/decimate
bench_decimate_CPPFLAGS = $(AM_CPPFLAGS) $(AVRO_CFLAGS) $(JANSSON_CFLAGS)
bench_decimate_SOURCES = bench/decimate.c bench/decimate.h bench/rings.c
bench_decimate_LDADD = $(DECIMATOR_LIBS) libschema.a libcommon.a \
	$(AVRO_LIBS) $(JANSSON_LIBS) -lm
if URING
noinst_PROGRAMS += bench/sends
bench_sends_CPPFLAGS = $(AM_CPPFLAGS) $(URING_CFLAGS)
bench_sends_SOURCES = bench/sends.c
bench_sends_LDADD = libcommon.a $(URING_LIBS)
endif
if NATS
noinst_PROGRAMS += bench/publish
bench_publish_CPPFLAGS = $(AM_CPPFLAGS) $(NATS_CFLAGS)
bench_publish_SOURCES = bench/publish.c
bench_publish_LDADD = $(NATS_LIBS)
endif
EXTRA_DIST += doc/decimation.svg doc/draw-decimation
EXTRA_DIST += bench/figures/results.md bench/figures/results.svg
EXTRA_DIST += bench/README.md bench/NOTES.md bench/run bench/hostile bench/contenders.py \
	bench/machine.py bench/measure.py bench/report.py bench/scaling.py \
	bench/card.py bench/cat.py bench/forward.py bench/kernel.py bench/many.py bench/page.mjs \
	bench/page_server.mjs bench/read.py bench/recycle.py bench/scrape.py \
	bench/sends.py bench/slow.py

# BENCH_OPTIONS='--quick', for instance; see `bench/run --help'.
.PHONY: picture
picture: all
	$(srcdir)/doc/draw-decimation . $(srcdir)/doc/decimation.svg

.PHONY: bench bench-decimate
bench-decimate: bench/decimate
	bench/decimate

bench: all
	$(srcdir)/bench/run --build . $(BENCH_OPTIONS)
