package tinyjson_test
import ("testing";"encoding/json";"github.com/vpkg/vpkg/hooks";"github.com/vpkg/vpkg/hooks/tinyjson")
func BenchmarkX(b *testing.B){
 type rec struct{ Path string `json:"path"`; Type string `json:"type"`; Mode hooks.Mode `json:"mode"`; Owner string `json:"owner"`; Group string `json:"group"` }
 var v struct{Entries []rec `json:"entries"`}
 for range 10000 { v.Entries=append(v.Entries, rec{"/opt/agent/lib/some/long/path/file.so","file",0o644,"root","root"}) }
 t,_:=json.Marshal(v)
 b.Run("m/json",func(b *testing.B){for b.Loop(){json.MarshalIndent(v,"","  ")}})
 b.Run("m/tiny",func(b *testing.B){for b.Loop(){tinyjson.Marshal(v)}})
 b.Run("u/json",func(b *testing.B){for b.Loop(){w:=v;w.Entries=nil;json.Unmarshal(t,&w)}})
 b.Run("u/tiny",func(b *testing.B){for b.Loop(){w:=v;w.Entries=nil;tinyjson.Unmarshal(t,&w)}})
}
