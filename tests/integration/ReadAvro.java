// SPDX-License-Identifier: ISC
// Prints each record of an Avro container file, with Apache Avro for Java.

import java.io.File;
import java.io.PrintStream;
import org.apache.avro.file.DataFileReader;
import org.apache.avro.generic.GenericDatumReader;

public class ReadAvro {
	public static void main(String[] arguments) throws Exception {
		PrintStream out = new PrintStream(System.out, false, "UTF-8");
		try (DataFileReader<Object> reader = new DataFileReader<>(
		    new File(arguments[0]), new GenericDatumReader<>())) {
			for (Object record : reader)
				out.println(record);
		}
		out.flush();
	}
}
