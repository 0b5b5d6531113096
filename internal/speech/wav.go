package speech

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// WAV gives the sound as a RIFF file of 16-bit mono PCM.
func (a Audio) WAV() []byte {
	size := 2 * len(a.Samples)
	b := make([]byte, 0, 44+size)
	b = append(b, "RIFF"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(36+size))
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, 1) // PCM
	b = binary.LittleEndian.AppendUint16(b, 1) // channels
	b = binary.LittleEndian.AppendUint32(b, uint32(a.Rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(2*a.Rate)) // bytes a second
	b = binary.LittleEndian.AppendUint16(b, 2)                // bytes a sample
	b = binary.LittleEndian.AppendUint16(b, 16)               // bits a sample
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	for _, s := range a.Samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// ParseWAV reads a RIFF file of 16-bit mono PCM. A data chunk that claims more than
// there is, as programs write that do not know the end yet, reaches to the end.
func ParseWAV(b []byte) (Audio, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return Audio{}, errors.New("not a WAV file")
	}
	var a Audio
	for rest := b[12:]; len(rest) >= 8; {
		name, size := string(rest[:4]), uint64(binary.LittleEndian.Uint32(rest[4:8]))
		chunk := rest[8:]
		if size < uint64(len(chunk)) {
			chunk = chunk[:size]
		}
		switch {
		case name == "fmt " && len(chunk) >= 16:
			format, channels, bits := binary.LittleEndian.Uint16(chunk), binary.LittleEndian.Uint16(chunk[2:]), binary.LittleEndian.Uint16(chunk[14:])
			if format != 1 || channels != 1 || bits != 16 {
				return Audio{}, fmt.Errorf("WAV format %d with %d channels of %d bits is not 16-bit mono PCM", format, channels, bits)
			}
			a.Rate = int(binary.LittleEndian.Uint32(chunk[4:]))
		case name == "data":
			if a.Rate <= 0 || a.Rate > 192_000 {
				return Audio{}, fmt.Errorf("WAV with %d samples a second", a.Rate)
			}
			a.Samples = make([]int16, len(chunk)/2)
			for i := range a.Samples {
				a.Samples[i] = int16(binary.LittleEndian.Uint16(chunk[2*i:]))
			}
			return a, nil
		}
		// Chunks begin at even places.
		next := 8 + len(chunk) + len(chunk)&1
		if next > len(rest) {
			break
		}
		rest = rest[next:]
	}
	return Audio{}, errors.New("WAV file without data")
}
