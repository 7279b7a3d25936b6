# SPDX-License-Identifier: ISC
# Included by the Makefile.am of the top directory.

#
# tools: mcrelayctl, mcrelay-gen, mcrelay-verify, mcrelay-replay, mcrelay-cat.
#
sbin_PROGRAMS += mcrelayctl
mcrelayctl_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(LIBBSD_CFLAGS)
mcrelayctl_SOURCES = tools/ctl/main.c \
	tools/ctl/client.c tools/ctl/client.h \
	tools/ctl/doctor.c tools/ctl/doctor.h \
	tools/ctl/events.c tools/ctl/events.h \
	tools/ctl/files.c tools/ctl/files.h \
	tools/ctl/metrics.c tools/ctl/metrics.h \
	tools/ctl/check.c tools/ctl/check.h \
	tools/ctl/show.c tools/ctl/show.h \
	tools/ctl/table.c tools/ctl/table.h \
	tools/ctl/top.c tools/ctl/top.h
mcrelayctl_LDADD = libtools.a libmetrics.a libcommon.a $(JANSSON_LIBS) $(LIBBSD_LIBS)
dist_man_MANS += man/mcrelayctl.8

noinst_LIBRARIES += libtools.a
libtools_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(LIBBSD_CFLAGS)
libtools_a_SOURCES = \
	tools/common/batch.c tools/common/batch.h \
	tools/common/endpoint.c tools/common/endpoint.h \
	tools/common/histogram.c tools/common/histogram.h \
	tools/common/lines.c tools/common/lines.h \
	tools/common/listing.c tools/common/listing.h \
	tools/common/options.c tools/common/options.h \
	tools/common/output.c tools/common/output.h \
	tools/common/progress.c tools/common/progress.h \
	tools/common/regular.c tools/common/regular.h \
	tools/common/stop.c tools/common/stop.h

# Reading archives.
noinst_LIBRARIES += libreader.a
libreader_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(ZLIB_CFLAGS) \
	$(SNAPPY_CFLAGS) $(ZSTD_CFLAGS) $(URING_CFLAGS)
libreader_a_SOURCES = \
	tools/common/followed.c tools/common/followed.h \
	tools/common/reader.c tools/common/reader.h \
	tools/common/reader_send.c \
	tools/common/reading.c tools/common/reading.h \
	tools/common/reading_mmap.c \
	tools/common/reading_uring.c \
	tools/common/records.c tools/common/records.h \
	tools/common/span.c tools/common/span.h \
	tools/common/uncompress.c tools/common/uncompress.h
READER_LIBS = libreader.a libtools.a libschema.a libcommon.a $(AVRO_LIBS) \
	$(JANSSON_LIBS) $(LIBBSD_LIBS) $(CODEC_LIBS) $(URING_LIBS) -lm

# Reading streams of NATS JetStream.
noinst_LIBRARIES += libremote.a
libremote_a_CPPFLAGS = $(libreader_a_CPPFLAGS) $(NATS_CFLAGS)
libremote_a_SOURCES = tools/common/remote.h tools/common/remote_address.c
if NATS
libremote_a_SOURCES += tools/common/remote.c \
	tools/common/fetch.c tools/common/fetch.h
else
libremote_a_SOURCES += tools/common/remote_none.c
endif
REMOTE_LIBS = libremote.a $(READER_LIBS) $(NATS_LIBS)

# Reading captures.
noinst_LIBRARIES += libcapture.a
libcapture_a_CPPFLAGS = $(AM_CPPFLAGS) $(PCAP_CFLAGS)
libcapture_a_SOURCES = tools/common/capture.h tools/common/capture_kind.c
if PCAP
libcapture_a_SOURCES += tools/common/capture.c
else
libcapture_a_SOURCES += tools/common/capture_none.c
endif
CAPTURE_LIBS = libcapture.a $(REMOTE_LIBS) $(PCAP_LIBS)

noinst_LIBRARIES += libverify.a
bin_PROGRAMS += mcrelay-verify
libverify_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
libverify_a_SOURCES = \
	tools/verify/catalog.c \
	tools/verify/crew.c \
	tools/verify/gaps.c \
	tools/verify/rebuild.c \
	tools/verify/repair.c \
	tools/verify/report.c \
	tools/verify/verify.c tools/verify/verify.h
mcrelay_verify_SOURCES = tools/verify/main.c
mcrelay_verify_LDADD = libverify.a $(READER_LIBS)
dist_man_MANS += man/mcrelay-verify.1

noinst_LIBRARIES += libreplay.a
bin_PROGRAMS += mcrelay-replay
libreplay_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
libreplay_a_SOURCES = \
	tools/replay/options.c \
	tools/replay/pace.c \
	tools/replay/queue.c tools/replay/queue.h \
	tools/replay/replay.c tools/replay/replay.h \
	tools/replay/source.c tools/replay/source.h \
	tools/replay/source_block.c tools/replay/source_priv.h
mcrelay_replay_SOURCES = tools/replay/main.c
mcrelay_replay_LDADD = libreplay.a $(CAPTURE_LIBS)
dist_man_MANS += man/mcrelay-replay.1

noinst_LIBRARIES += libcat.a
bin_PROGRAMS += mcrelay-cat
libcat_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(YAML_CFLAGS)
libcat_a_SOURCES = \
	tools/cat/capture.c \
	tools/cat/cat.c tools/cat/cat.h \
	tools/cat/channels.c \
	tools/cat/columns.c tools/cat/columns.h \
	tools/cat/container.c \
	tools/cat/csv.c \
	tools/cat/decimal.c tools/cat/decimal.h \
	tools/cat/files.c \
	tools/cat/follow.c \
	tools/cat/forms.c \
	tools/cat/live.c \
	tools/cat/moment.c tools/cat/moment.h \
	tools/cat/options.c \
	tools/cat/out.c tools/cat/out.h \
	tools/cat/packet.c tools/cat/packet.h \
	tools/cat/pcapng.c \
	tools/cat/stream.c \
	tools/cat/value.c tools/cat/value.h
mcrelay_cat_SOURCES = tools/cat/main.c
CAT_LIBS = libcat.a $(CAPTURE_LIBS) $(YAML_LIBS)
mcrelay_cat_LDADD = $(CAT_LIBS)
dist_man_MANS += man/mcrelay-cat.1

noinst_LIBRARIES += libgen.a
bin_PROGRAMS += mcrelay-gen
libgen_a_CPPFLAGS = $(AM_CPPFLAGS) $(AVRO_CFLAGS) $(JANSSON_CFLAGS) \
	$(LIBBSD_CFLAGS)
libgen_a_SOURCES = \
	tools/gen/gen.c tools/gen/gen.h \
	tools/gen/node.c tools/gen/node.h \
	tools/gen/numbered.c tools/gen/numbered.h \
	tools/gen/options.c \
	tools/gen/sink.c \
	tools/gen/source.c \
	tools/gen/synth.c tools/gen/synth.h \
	tools/gen/tally.c tools/gen/tally.h \
	tools/gen/wave.c tools/gen/wave.h \
	tools/gen/window.c tools/gen/window.h
mcrelay_gen_CPPFLAGS = $(libgen_a_CPPFLAGS)
mcrelay_gen_SOURCES = tools/gen/main.c
GEN_LIBS = libgen.a libtools.a libcommon.a $(AVRO_LIBS) \
	$(JANSSON_LIBS) $(LIBBSD_LIBS) -lm
mcrelay_gen_LDADD = $(GEN_LIBS)
dist_man_MANS += man/mcrelay-gen.1
