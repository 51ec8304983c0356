package fanout;

import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

/** Sends every record of a topic to the topic of its state: see README.md. */
public final class Fanout {
    /** What stands before the two letters of a state. */
    private static final byte[] STATE = "\"state\":\"".getBytes(StandardCharsets.US_ASCII);

    private static final int LETTERS = 26;

    /** The topic of any two letters, so that none is put together for each record. */
    private static final String[] TOPICS = new String[LETTERS * LETTERS];

    static {
        Arrays.setAll(TOPICS, i -> "state." + (char) ('a' + i / LETTERS) + (char) ('a' + i % LETTERS));
    }

    private Fanout() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Serde<byte[]> bytes = Serdes.ByteArray();
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(arguments[0], Consumed.with(bytes, bytes))
                .to((key, body, context) -> topicOf(body), Produced.with(bytes, bytes));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings(arguments));
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close();
            ended.countDown();
        }));
        streams.start();
        ended.await();
    }

    private static Properties settings(String[] arguments) throws IOException {
        Properties settings = new Properties();
        try (Reader file = Files.newBufferedReader(Path.of(arguments[1]))) {
            settings.load(file);
        }
        for (String given : Arrays.asList(arguments).subList(2, arguments.length)) {
            String[] pair = given.split("=", 2);
            settings.setProperty(pair[0], pair[1]);
        }
        return settings;
    }

    /** Looks for the first state in the bytes: parsing JSON would cost Kafka Streams most of its speed. */
    private static String topicOf(byte[] body) {
        for (int from = 0; from + STATE.length + 2 < body.length; from++) {
            int at = from + STATE.length;
            if (body[from] == STATE[0] && Arrays.equals(body, from, at, STATE, 0, STATE.length) && body[at + 2] == '"') {
                int first = (body[at] | 0x20) - 'a';
                int second = (body[at + 1] | 0x20) - 'a';
                if (first >= 0 && first < LETTERS && second >= 0 && second < LETTERS) {
                    return TOPICS[first * LETTERS + second];
                }
            }
        }
        throw new IllegalArgumentException("no state in " + new String(body, StandardCharsets.UTF_8));
    }
}
